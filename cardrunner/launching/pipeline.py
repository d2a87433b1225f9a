"""Runs the stages in order, records each, and handles the restarts that the card pre-registered.

worker      load → train → checkpoint      (on the machine with the data)
launcher    download → demo → report       (on the machine with the people; see `cardrunner.launching.finish`)

Stages of other packages that the card lists come in between; `cardrunner.registry.stages` has the order.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any, cast

from cardrunner import registry
from cardrunner.contracts import Made, Progress, RunContext, Workload
from cardrunner.errors import EnvironmentFailed, RestartWanted, RunStopped
from cardrunner.launching.admission import TRAINS, begin_steps
from cardrunner.launching.judgement import judges_of
from cardrunner.runs.events import Restarted, StageEnded, StageStarted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import MOST_RESTARTS, launched_workspace, load_frozen, restart_changes, with_changes
from cardrunner.runs.history import History
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.outcome import outcome_of
from cardrunner.runs.records import StageRecord, write_record
from cardrunner.stages.base import record_of
from cardrunner.workspace import Workspace


def open_context(
    folder: RunFolder,
    *,
    stop: StopRequest,
    progress: Progress,
    attempt: int,
    digest: str | None = None,
    workspace: Workspace | None = None,
) -> RunContext:
    """Make the context of a run's stages from the run folder. torch is imported when a stage first needs it.

    Args:
        digest: the digest that the gate approved; see `cardrunner.runs.frozen.load_frozen`.
        workspace: where the card's relative paths begin; None for where they did at the launch.

    Raises:
        IntegrityError: the frozen card is not the one that was launched, or a restart set unstated values.
        UsageError: no installed workload has the card's name.
    """
    loaded = load_frozen(folder, registry.workload_spec, digest=digest)
    ledger = Ledger(folder.ledger)
    return RunContext(
        folder=folder,
        workspace=workspace or launched_workspace(folder),
        card=with_changes(loaded, restart_changes(ledger, loaded.card)),
        digest=loaded.digest,
        workload=cast("Workload", _OnUse(loaded.card.workload)),
        ledger=ledger,
        history=History(folder.history),
        stop=stop,
        progress=progress,
        attempt=attempt,
    )


def run_worker_stages(ctx: RunContext) -> None:
    """Run load, train and checkpoint, and the worker stages of other packages. Exceptions of a stage propagate."""
    for name in registry.stage_names("worker", ctx.card.extra_stages):
        if name == TRAINS:
            begin_steps(ctx.folder, judges_of(ctx.folder))
        ctx = _until_done(ctx, name)
        ctx.stop.raise_if_requested()


def run_stage(ctx: RunContext, name: str) -> None:
    """Run one stage and record that it ran."""
    ctx.progress.stage(name)
    ctx.ledger.append(StageStarted(attempt=ctx.attempt, stage=name))
    began = time.monotonic()

    def ended(error: BaseException | None) -> None:
        seconds = round(time.monotonic() - began, 3)
        sentence = None if error is None else outcome_of(error).reason
        end = StageEnded(attempt=ctx.attempt, stage=name, seconds=seconds, ok=error is None, error=sentence)
        ctx.ledger.append(end)

    try:
        stage = registry.stage(name)
        made = stage.run(ctx)
        if stage.record is StageRecord:
            record = record_of(ctx.folder, name, made or Made(), time.monotonic() - began)
            write_record(ctx.folder.record(name), record)
    except BaseException as error:
        with contextlib.suppress(EnvironmentFailed):  # a full disk must not hide what went wrong
            ended(error)
        raise
    ended(None)


def _until_done(ctx: RunContext, name: str) -> RunContext:
    while True:
        try:
            run_stage(ctx, name)
        except RestartWanted as wanted:
            ctx = _restarted(ctx, wanted)
        else:
            return ctx


def _restarted(ctx: RunContext, wanted: RestartWanted) -> RunContext:
    """The context with the values that a kill threshold sets.

    Raises:
        RunStopped: this restart has been tried `MOST_RESTARTS` times.
        UsageError: the card's schema forbids a value.
    """
    loaded = load_frozen(ctx.folder, registry.workload_spec, digest=ctx.digest)
    earlier = restart_changes(ctx.ledger, loaded.card)
    if earlier.count(wanted.changes) >= MOST_RESTARTS:
        raise RunStopped(f"{wanted}; {MOST_RESTARTS} restarts with {_assignments(wanted.changes)} did not help")
    card = with_changes(loaded, [*earlier, wanted.changes])
    ctx.ledger.append(Restarted(attempt=ctx.attempt, reason=str(wanted), set=wanted.changes))
    ctx.progress.note(f"restart with {_assignments(wanted.changes)}: {wanted}")
    return replace(ctx, card=card)


def _assignments(changes: dict[str, Any]) -> str:
    return ", ".join(f"{path} = {value}" for path, value in changes.items())


@dataclass(frozen=True)
class _OnUse:
    """A workload that is imported on first use, so that a launcher without torch can still download."""

    name: str

    def __getattr__(self, attribute: str) -> Any:
        return getattr(registry.workload(self.name), attribute)
