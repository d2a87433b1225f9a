"""When a script has to begin to end, so that it ends in good order before a limit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from cardrunner.card.schema.card import Card
from cardrunner.errors import CardrunnerError
from cardrunner.runs.interrupts import leave_seconds
from cardrunner.training.budget import RunLimits, Spending
from cardrunner.workloads.command.quiet import QuietTimes

_LEAVING_SHARE: Final = 0.7
"""Of the time until this process is killed, what the script has to end in; the rest is for keeping what it saved."""
_LEAST_GRACE: Final = 2.0
_RESERVED_SHARE: Final = 0.25
"""Of the time that is left, the most that is reserved for a good end."""


@dataclass(frozen=True)
class Deadlines:
    """The limits of the card, and the time that a good end takes before them.

    Args:
        card: the card.
        limits: its timeout and budget.
        spending: what a second costs.
        grace: seconds that the script is given to end.
    """

    card: Card
    limits: RunLimits
    spending: Spending
    grace: float

    def reached(self) -> CardrunnerError | None:
        """How the run has to end because a limit is near; None as long as there is time."""
        left = self.limits.seconds_left
        if left is None or left > self._reserve:
            return None
        return self.limits.reached() or self._soon()

    def leave_by(self, reason: str | None) -> float | None:
        """When everything has to have ended, on the monotonic clock; None where nothing limits it.

        Args:
            reason: why it was asked to end from outside; None otherwise.
        """
        left = self.limits.seconds_left
        leave = leave_seconds() if reason in ("interrupted", "terminated") else None
        limits = [*([] if left is None else [left]), *([] if leave is None else [_LEAVING_SHARE * leave])]
        return time.monotonic() + min(limits) if limits else None

    def grace_until(self, leave_by: float | None) -> float:
        """Seconds that the script is given to end, beginning now."""
        if leave_by is None:
            return self.grace
        return min(self.grace, max(_LEAST_GRACE, leave_by - time.monotonic()))

    def _soon(self) -> CardrunnerError | None:
        """The limit that comes first, as if it were reached: the rest of its time is for a good end."""
        at = [end for end in (self.limits.timeout_at, self.limits.budget_at) if end is not None]
        moved = RunLimits(
            None if self.limits.timeout_at is None else self.limits.timeout_at - min(at) + time.monotonic(),
            None if self.limits.budget_at is None else self.limits.budget_at - min(at) + time.monotonic(),
            self.limits.sentences,
        )
        return moved.passed(then="; the time that is left is for a good end")

    @property
    def _reserve(self) -> float:
        """Seconds before a limit at which the end begins."""
        whole, infra, timing = QuietTimes().longest + self.grace, self.card.infra, self.card.timing
        limits = [infra.timeout] if infra.timeout is not None else []
        if timing.budget is not None and self.spending.usd_per_second:
            limits.append(timing.budget / self.spending.usd_per_second)
        return min([whole, *(_RESERVED_SHARE * limit for limit in limits)])
