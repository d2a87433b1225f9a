"""What comes of a declared metric that does not come: the run is paused, once for each metric."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cardrunner.common.redaction import visible
from cardrunner.contracts import RunContext
from cardrunner.errors import RunPaused
from cardrunner.runs.events import Acknowledged, MetricMissing
from cardrunner.workloads.command.reports.base import shortened
from cardrunner.workloads.command.reports.missing import Expected, Missing
from cardrunner.workloads.command.reports.rows import Declared, ReportedRow, Seen

_SHOWN_FROM: Final = 4_096
"""Bytes before the end of a log in which its last line is looked for."""


class MissingMetrics:
    """Looks for missing metrics of one start of the script, and records them.

    A metric for which a person has said that the run may go on is recorded and pauses the run no more.

    Args:
        ctx: the attempt.
        declared: the card's metrics.
        first_metric: see `Expected`.
    """

    def __init__(self, ctx: RunContext, declared: Sequence[Declared], *, first_metric: float) -> None:
        self._ctx, self._expected = ctx, Expected(declared, first_metric=first_metric)
        self._places = {metric.name: place for place, metric in enumerate(declared)}
        self._settled = _acknowledged(ctx)

    def row(self, row: ReportedRow) -> None:
        """Take note of a row."""
        self._expected.row(row)

    def look(self, seen: Seen, *, seconds: float) -> RunPaused | None:
        """Record what is missing now and was not recorded before; how the run has to end by it.

        Args:
            seen: the names that sources reported.
            seconds: since the start of the script.
        """
        missing = list(self._expected.missing(seen, seconds=seconds))
        if not missing:
            return None
        paused = not self._settled.issuperset(found.metric for found in missing)
        told = self._record(missing, seen, paused=paused)
        return self._pause(told) if paused else None

    def at_end(self, seen: Seen) -> None:
        """Record what never came in the whole run; nothing is left to pause."""
        known = {name for row in self._ctx.history.rows() for name in row.metrics}
        missing = [found for found in self._expected.never(seen) if found.metric not in known]
        if missing:
            self._record(missing, seen, paused=False)

    def _record(self, missing: Sequence[Missing], seen: Seen, *, paused: bool) -> str:
        told = "; ".join(f"training.metrics[{self._places[found.metric]}]: {found.sentence}" for found in missing)
        if not seen.names and (printed := last_line(self._ctx.folder.script_log)):
            told += f"; the last line that it printed: {printed}"
        names = tuple(found.metric for found in missing)
        event = MetricMissing(attempt=self._ctx.attempt, metrics=names, message=told, paused=paused)
        self._ctx.ledger.append(event)
        self._ctx.progress.note(f"warning: {event.sentence()}")
        return told

    def _pause(self, told: str) -> RunPaused:
        command = f'`cardrunner resume {self._ctx.folder.name} --acknowledge "why it may go on"`'
        return RunPaused(
            f"paused to investigate: a declared metric does not come, so that no threshold on it can fire: {told}; "
            f"correct training.report or training.metrics in a new card, or {command}"
        )


def last_line(log: Path) -> str:
    """The last line of a log that has text, shortened; empty where no line has any."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _SHOWN_FROM))
            lines = stream.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((shortened(visible(line.strip())) for line in reversed(lines) if line.strip()), "")


def _acknowledged(ctx: RunContext) -> frozenset[str]:
    """The metrics that were missing when a person said that the run may go on."""
    missing: set[str] = set()
    settled: set[str] = set()
    for event in ctx.ledger.events(MetricMissing, Acknowledged):
        if isinstance(event, MetricMissing):
            missing |= set(event.metrics)
        else:
            settled |= missing
    return frozenset(settled)
