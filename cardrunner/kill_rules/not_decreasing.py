"""``metric: not_decreasing_for N epochs``: no improvement over the best so far."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from cardrunner.kill_rules.base import Epochs, Observation, Rule, Validation, Verdict, is_finite


class NotDecreasing(Rule):
    """Fires when none of the last N validations improved on the best before them by `min_delta`."""

    metric: str
    """The metric's name, or an alias of it; one that should fall."""
    not_decreasing_for: Epochs
    """How many validations in a row may pass without an improvement."""
    min_delta: float = Field(default=0.0, ge=0)
    """An improvement smaller than this does not count."""

    def describe(self) -> str:
        """For example ``val_loss/total not decreasing for 2 epochs``."""
        by = f" by {self.min_delta:g}" if self.min_delta else ""
        return f"{self.metric} not decreasing{by} for {self.not_decreasing_for} epochs"

    def verdict(self, history: Sequence[Validation]) -> Verdict | None:
        """Compare the last N validations with the best before them."""
        seen = self._seen(history)
        best = self._best_unless_improved(seen, self.not_decreasing_for)
        if best is None:
            return None
        newest = seen[-1]
        value = newest.metrics[self.metric]
        return Verdict(
            rule=-1,
            action=self.action,
            condition=self.describe(),
            epoch=newest.epoch,
            step=newest.step,
            value=value,
            limit=best,
            message=f"{self.metric} is {value:.6g} after epoch {newest.epoch}; the best before was {best:.6g}",
        )

    def observe(self, history: Sequence[Validation]) -> Observation | None:
        """How many of the newest validations, at most N, brought no improvement."""
        seen = self._seen(history)
        if not seen:
            return None
        counts = range(1, self.not_decreasing_for + 1)
        idle = max((count for count in counts if self._best_unless_improved(seen, count) is not None), default=0)
        return Observation(
            epoch=seen[-1].epoch,
            value=idle,
            limit=self.not_decreasing_for,
            room=self.not_decreasing_for - idle,
            unit="validations in a row without improvement",
        )

    def _seen(self, history: Sequence[Validation]) -> list[Validation]:
        return [row for row in history if self.metric in row.metrics]

    def _best_unless_improved(self, seen: Sequence[Validation], count: int) -> float | None:
        """The best value before the last `count` validations; None when one of them improved on it."""
        if len(seen) <= count:
            return None
        before, last = seen[:-count], seen[-count:]
        best = min((row.metrics[self.metric] for row in before if is_finite(row.metrics[self.metric])), default=None)
        improved = best is not None and any(row.metrics[self.metric] < best - self.min_delta for row in last)
        return None if improved else best
