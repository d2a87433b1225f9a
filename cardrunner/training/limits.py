"""How long a run may go on: the budget of its card and the timeout of an attempt, as deadlines a step can look at."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cardrunner.card.estimate import cost_of
from cardrunner.card.schema.card import Card
from cardrunner.errors import RunStopped, TimedOut
from cardrunner.units import format_dollars, format_duration

_SAVING_SHARE = 0.02
_SAVING_SECONDS = 30.0


@dataclass(frozen=True)
class Limits:
    """Deadlines on the clock of `time.monotonic`.

    Attributes:
        timeout_at: when an attempt must have saved; None where the card sets no timeout.
        budget_at: when the budget will be spent; None where there is no budget or no price.
    """

    timeout_at: float | None
    budget_at: float | None
    sentences: tuple[str, str]

    @classmethod
    def of(cls, card: Card, *, attempt_seconds: float, metered_seconds: float) -> Limits:
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
        """Until the first of them; None where there is none."""
        deadlines = [at for at in (self.timeout_at, self.budget_at) if at is not None]
        return min(deadlines) - time.monotonic() if deadlines else None

    def passed(self, *, then: str = "") -> RunStopped | None:
        """The one that is passed now, if any is; `then` ends its sentence."""
        now = time.monotonic()
        if self.timeout_at is not None and now >= self.timeout_at:
            return TimedOut(self.sentences[0] + then)
        return RunStopped(self.sentences[1] + then) if self.budget_at is not None and now >= self.budget_at else None

    def reached(self) -> RunStopped | None:
        """What ends the training now, if anything does; the caller saves."""
        return self.passed(then="; the state is saved")
