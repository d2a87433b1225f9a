"""How long a run may go on: the card's budget and the attempt's timeout, as deadlines that each step checks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from cardrunner.card.estimate import cost_of
from cardrunner.card.platforms import platform_of
from cardrunner.card.schema.card import Card
from cardrunner.common.clock import utc_seconds
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.contracts import RunContext
from cardrunner.errors import CardrunnerError, RunPaused, RunStopped, TimedOut
from cardrunner.runs.events import Acknowledged, AttemptEnded, AttemptStarted, ProjectedOverrun, Restarted
from cardrunner.runs.history import HistoryRow

_SAVING_SHARE = 0.02
_SAVING_SECONDS = 30.0


@dataclass(frozen=True)
class RunLimits:
    """Deadlines on the clock of `time.monotonic`.

    Attributes:
        timeout_at: when an attempt must have saved; None if the card sets no timeout.
        budget_at: when the budget will be spent; None without a budget or a price.
    """

    timeout_at: float | None
    budget_at: float | None
    sentences: tuple[str, str]

    @classmethod
    def of(cls, card: Card, *, attempt_seconds: float, metered_seconds: float) -> RunLimits:
        """The deadlines of an attempt that is running.

        Args:
            card: names timeout, budget and price.
            attempt_seconds: since this attempt began.
            metered_seconds: that all attempts took so far, this one included.
        """
        now, timeout, budget = time.monotonic(), card.infra.timeout, card.timing.budget
        rate = cost_of(card, 1.0)
        sentences = (
            f"the timeout of {format_duration(timeout or 0)} (infra.timeout) is reached",
            f"the budget of {format_dollars(budget or 0)} (timing.budget) is spent",
        )
        return cls(
            None
            if timeout is None
            else now + timeout - min(_SAVING_SECONDS, _SAVING_SHARE * timeout) - attempt_seconds,
            None if budget is None or not rate else now + budget / rate - metered_seconds,
            sentences,
        )

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the first deadline; None without one."""
        deadlines = [at for at in (self.timeout_at, self.budget_at) if at is not None]
        return min(deadlines) - time.monotonic() if deadlines else None

    def passed(self, *, then: str = "") -> RunStopped | None:
        """The error for a deadline that has passed, or None; `then` ends its sentence."""
        now = time.monotonic()
        if self.timeout_at is not None and now >= self.timeout_at:
            return TimedOut(self.sentences[0] + then)
        return RunStopped(self.sentences[1] + then) if self.budget_at is not None and now >= self.budget_at else None

    def reached(self) -> RunStopped | None:
        """The error that ends the training now, or None; the caller saves."""
        return self.passed(then="; the state is saved")


@dataclass(frozen=True)
class Spending:
    """The time and money that all attempts of a run have used.

    Attributes:
        began: when this attempt began, on the clock of `time.monotonic`.
        earlier_seconds: of the attempts before it; one that died silently counts until its last sign of life.
        usd_per_second: None if unknown; 0 on a local machine without a price.
    """

    began: float
    earlier_seconds: float
    usd_per_second: float | None

    @classmethod
    def of(cls, card: Card, *, began: float, metered_seconds: float) -> Spending:
        """The meter of an attempt that is running.

        Args:
            card: names price and GPUs.
            began: when this attempt began, on the clock of `time.monotonic`.
            metered_seconds: that all attempts took so far, this one included.
        """
        price = cost_of(card, 1.0)
        free = 0.0 if platform_of(card.infra).free else None
        earlier = max(metered_seconds - (time.monotonic() - began), 0.0)
        return cls(began, earlier, free if price is None else price)

    def attempt_seconds(self) -> float:
        """Seconds since this attempt began."""
        return time.monotonic() - self.began

    def seconds(self) -> float:
        """Seconds of all attempts so far."""
        return self.earlier_seconds + self.attempt_seconds()

    def cost(self, seconds: float) -> float | None:
        """Dollars for some seconds; None if the price is unknown."""
        return None if self.usd_per_second is None else seconds * self.usd_per_second


IN_A_ROW = 3
"""Consecutive rows whose projection must be over the limit: one slow moment proves nothing."""


@dataclass(frozen=True)
class Overrun:
    """A limit, and a sentence with the projection beyond it."""

    limit: str
    sentence: str


class Overruns:
    """Compares projections with the limits of the card; reports each limit once in a run.

    Args:
        ctx: the attempt.
    """

    def __init__(self, ctx: RunContext) -> None:
        self.ctx, self.action = ctx, ctx.card.timing.on_projected_overrun
        self._reported, self._open = _reported(ctx)
        self._rows: dict[str, int] = {}

    def row(self, row: HistoryRow) -> CardrunnerError | None:
        """Check a row that was just written; return how the run has to end, or None to go on."""
        found = {over.limit: over for over in _overruns(self.ctx, row)}
        self._rows = {limit: self._rows.get(limit, 0) + 1 for limit in found}
        due = [
            over for over in found.values() if self._rows[over.limit] >= IN_A_ROW and over.limit not in self._reported
        ]
        for over in due:
            self._record(over, row)
        return self._ending(due[0].sentence) if due and self.action != "warn" else None

    def _record(self, over: Overrun, row: HistoryRow) -> None:
        if over.limit in self._open:  # a crash kept this one from ending the run
            return
        projected = ProjectedOverrun(
            attempt=self.ctx.attempt,
            action=self.action,
            limit=over.limit,
            epoch=row.epoch,
            step=row.step,
            projected_seconds=row.clock.projected_seconds,
            projected_cost_usd=row.clock.projected_cost_usd,
            message=over.sentence,
        )
        self.ctx.ledger.append(projected)
        self.ctx.progress.note(projected.headline)
        (self._reported if self.action == "warn" else self._open).add(over.limit)

    def _ending(self, sentence: str) -> CardrunnerError:
        name = self.ctx.folder.name
        if self.action == "stop":
            return RunStopped(f"stopped because {sentence} (timing.on_projected_overrun)")
        command = f'`cardrunner resume {name} --acknowledge "why it may go on"`'
        return RunPaused(
            f"paused to investigate because {sentence} (timing.on_projected_overrun); look into it, then {command}"
        )


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
    """Attempts that the platform starts automatically after this one."""
    infra = ctx.card.infra
    return max(1 + infra.retries - ctx.attempt, 0) if platform_of(infra).resumes_after_timeout else 0


def _reported(ctx: RunContext) -> tuple[set[str], set[str]]:
    """Limits that have been dealt with, and those recorded that have not ended an attempt yet."""
    reported, open_ = set[str](), set[str]()
    for event in ctx.ledger.events(ProjectedOverrun, AttemptEnded, Restarted, Acknowledged):
        if isinstance(event, ProjectedOverrun):
            (reported if event.action == "warn" else open_).add(event.limit)
        elif not (isinstance(event, AttemptEnded) and event.broke):
            reported, open_ = reported | open_, set()
    return reported, open_


def attempt_seconds(ctx: RunContext) -> float:
    """Seconds since the attempt began, according to the ledger."""
    started = ctx.ledger.last(AttemptStarted)
    return max(0.0, time.time() - utc_seconds(started.since)) if started else 0.0
