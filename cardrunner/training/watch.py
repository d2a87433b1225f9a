"""What clocks, limits and people ask for between two steps, as all processes of a run see it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import get_args

from cardrunner.runs.interrupts import Reason, StopRequest
from cardrunner.training.budget import Limits
from cardrunner.training.group import Group

_REASONS: tuple[Reason, ...] = get_args(Reason)
_EVERY_SECONDS = 0.25
_MOST_STEPS = 32


@dataclass(frozen=True)
class Asked:
    """The answer; nothing by default."""

    log: bool = False
    save: bool = False
    reason: Reason | None = None
    over: bool = False
    """Time or money is up."""


NOTHING = Asked()


class Watch:
    """Looks after every step. Several processes compare notes only about four times a second, at the same step.

    Args:
        stop: this process's own signals.
        limits: the leader's count.
        group: the processes.
    """

    def __init__(self, stop: StopRequest, limits: Limits, group: Group) -> None:
        self.stop, self.limits, self.group = stop, limits, group
        self.restart()

    def restart(self) -> None:
        """Other work begins, with a pace of its own."""
        self._steps, self._left, self._looked = 1, 1, time.monotonic()

    def look(self, *, log: bool = False, save: bool = False) -> Asked:
        """What is asked for now.

        Args:
            log: by this process's clock a row is due.
            save: by this process's clock a checkpoint is due.
        """
        if self.group.world == 1:
            return Asked(log, save, self.stop.reason, self.limits.reached() is not None)
        self._left -= 1
        return NOTHING if self._left else self._agreed(log=log, save=save)

    def _agreed(self, *, log: bool, save: bool) -> Asked:
        reason = self.stop.reason
        own = [0 if reason is None else 1 + _REASONS.index(reason), 0, 0, 0, 0]
        if self.group.leads:
            own[1:] = [log, save, self.limits.reached() is not None, self._next()]
        number, log_now, save_now, over, self._left = self.group.largest(own)
        self._steps, self._looked = self._left, time.monotonic()
        return Asked(bool(log_now), bool(save_now), _REASONS[number - 1] if number else None, bool(over))

    def _next(self) -> int:
        """After how many steps to look again, at the pace since the last look."""
        pace = (time.monotonic() - self._looked) / self._steps
        return max(1, min(_MOST_STEPS, int(_EVERY_SECONDS / pace))) if pace > 0 else _MOST_STEPS
