"""The rows that a killed attempt had read and not yet written: a row waits two seconds for its other values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cardrunner.contracts import RunContext
from cardrunner.errors import CardrunnerError
from cardrunner.training.judging import Judge
from cardrunner.workloads.command.recording import RowRecorder
from cardrunner.workloads.command.reports.base import Reading, Source
from cardrunner.workloads.command.reports.rows import Rows
from cardrunner.workloads.command.saving import Saves
from cardrunner.workloads.command.sections import CommandTraining


def catch_up(
    ctx: RunContext, training: CommandTraining, sources: Sequence[Source], recorder: RowRecorder, saves: Saves
) -> CardrunnerError | None:
    """Write and judge what the sources have beyond the history; to be called when no process of the script runs.

    Args:
        ctx: the attempt.
        training: the card's section.
        sources: new ones, which read from the beginning.
        recorder: leaves out what the history has.
        saves: follows the best value.

    Returns:
        How the run has to end by one of these rows, or None.
    """
    judge = Judge(ctx)
    ending = judge.resume(-1, at_validation=True)
    declared = [metric.declared() for metric in training.metrics]
    rows = Rows(declared, epoch_from=training.length.read if training.length else None)
    found = list(rows.take(_all(sources)))
    for reported in (*found, *rows.finish()):
        row = recorder.write(reported)
        if row is not None:
            saves.row(row)
            verdict = judge.row(row)
            ending = ending or verdict
    return ending


def _all(sources: Sequence[Source]) -> Iterator[Reading]:
    for source in sources:
        while found := list(source.new(ended=True)):
            yield from found
