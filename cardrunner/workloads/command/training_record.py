"""``stages/train.json`` of a script: what is known of its training without having done it."""

from __future__ import annotations

from cardrunner.contracts import RunContext
from cardrunner.runs.records import TrainRecord, write_record
from cardrunner.workloads.command.recording import RowRecorder
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.state import ScriptState
from cardrunner.workloads.command.stated import StatedFacts

_TOLD_NOWHERE = "not known: the script's"


def write_training(
    ctx: RunContext, state: ScriptState, recorder: RowRecorder, *, ended: bool, notes: tuple[str, ...] = ()
) -> None:
    """Write the record.

    Args:
        ctx: the attempt.
        state: what is known of the script.
        recorder: of the rows of this start.
        ended: whether the script has ended by itself, without an error.
        notes: sentences about this start.

    Raises:
        EnvironmentFailed: it cannot be written.
    """
    newest, said = recorder.newest, state.record.facts.get("parameters")
    record = TrainRecord(
        epochs_planned=training_of(ctx.card).planned_epochs or 0,
        epochs_done=newest.epoch if newest else 0,
        steps=newest.step if newest else 0,
        steps_per_epoch=0,
        examples=0,
        parameters=said if isinstance(said, int) and not isinstance(said, bool) else None,
        device=_TOLD_NOWHERE,
        precision=_TOLD_NOWHERE,
        threads=0,
        reported=True,
        ended=ended,
        seconds=state.record.seconds,
        train_seconds=state.record.seconds,
        wait_seconds=0.0,
        best=state.record.best,
        baselines={},
        weights_sha256=state.record.best_sha256,
        notes=notes,
        facts=StatedFacts.of(ctx.card).rows(state.record.facts),
    )
    write_record(ctx.folder.record("train"), record)
