"""``not_increasing_for``: a metric that should rise and does not."""

from __future__ import annotations

from typing import ClassVar, Literal

from cardrunner.kill_rules.base import Epochs
from cardrunner.kill_rules.stalled import Stalled


class NotIncreasing(Stalled):
    """Fires when none of the last N validations was above the best before them by more than `min_delta`."""

    sign: ClassVar[Literal[1, -1]] = -1
    movement: ClassVar[str] = "increasing"

    not_increasing_for: Epochs
    """How many validations in a row may pass without an improvement; of a metric that should rise."""

    @property
    def patience(self) -> int:
        """N."""
        return self.not_increasing_for
