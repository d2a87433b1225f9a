"""Requests from clocks, limits and people between two steps, agreed on by all processes of a run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import get_args

from cardrunner.runs.interrupts import Reason, StopRequest
from cardrunner.training.budget import RunLimits
from cardrunner.training.group import ProcessGroup

_REASONS: tuple[Reason, ...] = get_args(Reason)
_EVERY_SECONDS = 0.25
_MOST_STEPS = 32


@dataclass(frozen=True)
class Asked:
    """What is asked of the training now."""

    log: bool = False
    save: bool = False
    reason: Reason | None = None
    over: bool = False
    """Time or money has run out."""


NOTHING = Asked()


class Watch:
    """Polls for requests after every step; several processes agree about four times a second, at the same step.

    Args:
        stop: this process's own signals.
        limits: the deadlines, of which the leader's count.
        group: the processes.
    """

    def __init__(self, stop: StopRequest, limits: RunLimits, group: ProcessGroup) -> None:
        self.stop, self.limits, self.group = stop, limits, group
        self.restart()

    def restart(self) -> None:
        """Measure the pace anew, because other work begins."""
        self._steps, self._left, self._polled = 1, 1, time.monotonic()

    def poll(self, *, log: bool = False, save: bool = False) -> Asked:
        """Return what is asked for now.

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
        self._steps, self._polled = self._left, time.monotonic()
        return Asked(bool(log_now), bool(save_now), _REASONS[number - 1] if number else None, bool(over))

    def _next(self) -> int:
        """The number of steps until the next poll, at the pace since the last one."""
        pace = (time.monotonic() - self._polled) / self._steps
        return max(1, min(_MOST_STEPS, int(_EVERY_SECONDS / pace))) if pace > 0 else _MOST_STEPS
