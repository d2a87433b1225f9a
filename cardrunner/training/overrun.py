"""A run that, as measured so far, would end beyond its budget or its timeout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cardrunner.errors import CardrunnerError, RunPaused, RunStopped
from cardrunner.runs.context import RunContext
from cardrunner.runs.history import HistoryRow
from cardrunner.units import format_dollars, format_duration

IN_A_ROW = 3
"""At so many rows in a row the projection has to lie beyond, since one slow moment proves nothing."""
_LOST = ("interrupted", "failed")


@dataclass(frozen=True)
class Overrun:
    """A limit and what is projected."""

    limit: str
    sentence: str


class Overruns:
    """Holds projections against the limits of the card; each limit is told once in a run.

    Args:
        ctx: the attempt.
    """

    def __init__(self, ctx: RunContext) -> None:
        self.ctx, self.action = ctx, ctx.card.timing.on_projected_overrun
        self._told, self._open = _told(ctx)
        self._rows: dict[str, int] = {}

    def row(self, row: HistoryRow) -> CardrunnerError | None:
        """Look at a row that was just written; how the run has to end, or None to go on."""
        found = {over.limit: over for over in _overruns(self.ctx, row)}
        self._rows = {limit: self._rows.get(limit, 0) + 1 for limit in found}
        due = [over for over in found.values() if self._rows[over.limit] >= IN_A_ROW and over.limit not in self._told]
        for over in due:
            self._record(over, row)
        return self._ending(due[0].sentence) if due and self.action != "warn" else None

    def _record(self, over: Overrun, row: HistoryRow) -> None:
        if over.limit in self._open:  # a crash kept it from ending the run
            return
        self.ctx.ledger.append(
            "projected_overrun",
            attempt=self.ctx.attempt,
            action=self.action,
            limit=over.limit,
            epoch=row.epoch,
            step=row.step,
            projected_seconds=row.clock.projected_seconds,
            projected_cost_usd=row.clock.projected_cost_usd,
            message=over.sentence,
        )
        self.ctx.progress.note(f"{self.action}: {over.sentence}")
        (self._told if self.action == "warn" else self._open).add(over.limit)

    def _ending(self, sentence: str) -> CardrunnerError:
        name = self.ctx.folder.name
        if self.action == "stop":
            return RunStopped(f"stopped since {sentence} (timing.on_projected_overrun)")
        command = f'`cardrunner resume {name} --acknowledge "why it may go on"`'
        return RunPaused(f"paused to investigate since {sentence} (timing.on_projected_overrun); look, then {command}")


def _overruns(ctx: RunContext, row: HistoryRow) -> Iterator[Overrun]:
    clock, budget, timeout = row.clock, ctx.card.timing.budget, ctx.card.infra.timeout
    if clock.projected_seconds is None or clock.total_seconds is None or clock.projected_seconds <= clock.total_seconds:
        return
    left = clock.projected_seconds - clock.total_seconds
    if budget is not None and clock.projected_cost_usd is not None and clock.projected_cost_usd > budget:
        projected = f"the run is projected to cost {format_dollars(clock.projected_cost_usd)} in all"
        yield Overrun("budget", f"{projected}, beyond the budget of {format_dollars(budget)} (timing.budget)")
    if timeout is not None and clock.seconds + left > timeout * (1 + _later_attempts(ctx)):
        projected = f"this attempt is projected to need {format_duration(clock.seconds + left)}"
        limit = f"the timeout of {format_duration(timeout)} (infra.timeout)"
        yield Overrun("timeout", f"{projected}, beyond {limit}")


def _later_attempts(ctx: RunContext) -> int:
    """Attempts that the platform starts by itself after this one."""
    infra = ctx.card.infra
    return 0 if infra.platform == "local" else max(1 + infra.retries - ctx.attempt, 0)


def _told(ctx: RunContext) -> tuple[set[str], set[str]]:
    """Limits that are done with, and those that were recorded and have not ended an attempt yet."""
    told, open_ = set[str](), set[str]()
    for event in ctx.ledger.events("projected_overrun", "attempt_ended", "restarted", "acknowledged"):
        if event["event"] == "projected_overrun":
            (told if event["action"] == "warn" else open_).add(event["limit"])
        elif event["event"] != "attempt_ended" or event.get("state") not in _LOST:
            told, open_ = told | open_, set()
    return told, open_
