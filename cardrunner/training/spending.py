"""Time and money that a run has spent, metered from its attempts and the card's price."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cardrunner.card.estimate import cost_of
from cardrunner.card.schema.card import Card


@dataclass(frozen=True)
class Spending:
    """What all attempts of a run took.

    Attributes:
        began: when this attempt began, on the clock of `time.monotonic`.
        earlier_seconds: of the attempts before it; of one that died without a word, until it was last heard of.
        usd_per_second: None where nobody knows; 0 on a machine of one's own without a price.
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
        free = 0.0 if card.infra.platform == "local" else None
        earlier = max(metered_seconds - (time.monotonic() - began), 0.0)
        return cls(began, earlier, free if price is None else price)

    def attempt_seconds(self) -> float:
        """Since this attempt began."""
        return time.monotonic() - self.began

    def seconds(self) -> float:
        """Of all attempts so far."""
        return self.earlier_seconds + self.attempt_seconds()

    def cost(self, seconds: float) -> float | None:
        """Dollars for so long; None where nobody knows."""
        return None if self.usd_per_second is None else seconds * self.usd_per_second
