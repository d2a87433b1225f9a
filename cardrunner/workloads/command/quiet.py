"""When a script may be stopped without tearing what it is writing.

A row of metrics is the worst moment: many scripts print it and then save onto their only checkpoint. So after a
verdict it is waited until nothing under the checkpoints changes and the script has gone on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cardrunner.common.units import format_duration


@dataclass(frozen=True, kw_only=True)
class QuietTimes:
    """Seconds of the stop protocol."""

    settled: float = 0.5
    """Without a change under the checkpoints, once the script has gone on after the verdict."""
    validated: float = 3.0
    """After the verdict, until which a row of a validation postpones the end by `settled`: a save may follow it."""
    still: float = 10.0
    """Without a change, whether or not it has gone on."""
    longest: float = 30.0
    """After the verdict, whatever changes."""


class Why(Enum):
    """Why the script is asked to end now; each value ends a sentence."""

    WENT_ON = "it had gone on, and no checkpoint was being written"
    STILL = "no checkpoint was being written"
    LONGEST = "its checkpoints never came to rest"
    AGAIN = "it was asked for again"
    DEADLINE = "the time that is left is the script's, to end in"
    UNGUARDED = "the card names no checkpoints to wait for"
    ENDED = "it had ended by itself"


@dataclass(frozen=True)
class Look:
    """What one look at a running script showed."""

    checkpoints: Hashable
    """Whatever changes when a file under the checkpoints does, such as their names, sizes and times."""
    progress: int
    """A number that grows when the script goes on: the newest step of its rows, or its lines where it has no rows."""
    validation: int = -1
    """The step of the newest row of a validation."""


@dataclass(frozen=True)
class Moment:
    """The moment to stop."""

    why: Why
    waited: float
    """Seconds since the verdict."""

    def __str__(self) -> str:
        return f"asked to end {format_duration(round(self.waited, 1))} after the verdict: {self.why.value}"


class Quiet:
    """Decides from looks at a script when it may be stopped; it reads no clock.

    Args:
        at: the time of the verdict in seconds, on the clock of the looks.
        look: what the script looked like then.
        deadline: when the wait is over at the latest, on the same clock.
        guarded: whether the card names checkpoints; without them there is nothing to wait for.
    """

    def __init__(
        self, at: float, look: Look, times: QuietTimes, *, deadline: float | None = None, guarded: bool = True
    ) -> None:
        self._verdict_at, self._verdict, self._times = at, look, times
        self._deadline, self._guarded = deadline, guarded
        self._checkpoints, self._changed_at = look.checkpoints, at
        self._validation, self._validated_at = look.validation, -math.inf
        self._again = False

    def ask_again(self) -> None:
        """A person has asked twice: wait no more."""
        self._again = True

    def look(self, at: float, look: Look) -> Moment | None:
        """Take the next look; the moment, if it is now.

        Args:
            at: its time.
            look: what it showed.
        """
        if look.checkpoints != self._checkpoints:
            self._checkpoints, self._changed_at = look.checkpoints, at
        if look.validation != self._validation:
            self._validation, self._validated_at = look.validation, at
        why = self._why(at, at - self._changed_at, look.progress > self._verdict.progress)
        return None if why is None else Moment(why, at - self._verdict_at)

    def ended(self, at: float) -> Moment:
        """The moment at which the script was found to have ended by itself."""
        return Moment(Why.ENDED, at - self._verdict_at)

    def _may_save(self, at: float) -> bool:
        """Whether the row of another validation has just come."""
        return at - self._verdict_at < self._times.validated and at - self._validated_at < self._times.settled

    def _why(self, at: float, unchanged: float, went_on: bool) -> Why | None:
        if self._again:
            return Why.AGAIN
        if not self._guarded:
            return Why.UNGUARDED
        if went_on and unchanged >= self._times.settled and not self._may_save(at):
            return Why.WENT_ON
        if unchanged >= self._times.still:
            return Why.STILL
        if at - self._verdict_at >= self._times.longest:
            return Why.LONGEST
        return Why.DEADLINE if self._deadline is not None and at >= self._deadline else None


_POLL_SECONDS: Final = 0.1


def wait_for_quiet(
    quiet: Quiet,
    look: Callable[[], Look],
    ended: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Moment:
    """Look at a script until it may be stopped.

    Args:
        quiet: decides.
        look: looks at the script.
        ended: whether it has ended by itself.
        clock: the clock of the verdict.
        sleep: waits for the next look.
    """
    while not ended():
        if (moment := quiet.look(clock(), look())) is not None:
            return moment
        sleep(_POLL_SECONDS)
    return quiet.ended(clock())


def stop_begins(limit: float, *, grace: float, times: QuietTimes) -> float:
    """When to begin to stop for a limit that must hold, such as a budget: the wait and the grace come before it.

    Args:
        limit: seconds of the run at which nothing may run any more.
        grace: seconds that the script is given to end.
        times: the longest wait for quiet.

    Returns:
        Seconds of the run, at least 0.
    """
    return max(0.0, limit - grace - times.longest)
