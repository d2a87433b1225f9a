"""``not_decreasing_for``: a metric that should fall and does not."""

from __future__ import annotations

from typing import ClassVar, Literal

from cardrunner.kill_rules.base import Epochs
from cardrunner.kill_rules.stalled import Stalled


class NotDecreasing(Stalled):
    """Fires when none of the last N validations was below the best before them by more than `min_delta`."""

    sign: ClassVar[Literal[1, -1]] = 1
    movement: ClassVar[str] = "decreasing"

    not_decreasing_for: Epochs
    """How many validations in a row may pass without an improvement; of a metric that should fall."""

    @property
    def patience(self) -> int:
        """N."""
        return self.not_decreasing_for
