"""What `not_decreasing_for` and `not_increasing_for` share: no improvement over the best so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

from pydantic import Field

from cardrunner.common.text import plural
from cardrunner.kill_rules.base import Epochs, Observation, Rule, is_finite
from cardrunner.kill_rules.history import Row, RuleHistory, View
from cardrunner.specs import Direction, Remark


class Stalled(Rule):
    """Fires when none of the last N validations improved on the best before them by more than `min_delta`.

    A value that is not finite is never an improvement. A training metric is judged by the mean of each epoch.
    """

    sign: ClassVar[Literal[1, -1]]
    """1 for a metric that should fall, -1 for one that should rise."""
    movement: ClassVar[str]
    by_epoch: ClassVar[bool] = True

    metric: str
    """A validation metric or an alias of it; or a training metric, whose mean over each epoch counts."""
    min_delta: float = Field(default=0.0, ge=0)
    """Smaller improvements than this, or equal ones, do not count."""

    @property
    def moot_when_trained(self) -> bool:
        """True: the rule judges whether further training is worthwhile."""
        return True

    @property
    def key(self) -> str:
        """The key that states N."""
        return f"not_{self.movement}_for"

    @property
    def needs_before(self) -> int:
        """N: one earlier validation to compare with, and N - 1 before the row."""
        return self.patience

    def stated_differences(self) -> Mapping[str, float]:
        """``min_delta``, where it is stated."""
        return {"min_delta": self.min_delta} if self.min_delta else {}

    def check_direction(self, better: Direction) -> Iterator[Remark]:
        """A fault if the metric should move the other way."""
        if better != ("min" if self.sign == 1 else "max"):
            moves, other = ("rise", "not_increasing_for") if better == "max" else ("fall", "not_decreasing_for")
            yield Remark(loc=(self.key,), message=f"{self.metric} should {moves}; write {other}")

    @property
    def patience(self) -> int:
        """N: how many validations in a row may pass without an improvement."""
        raise NotImplementedError

    def rows(self, watched: RuleHistory) -> Sequence[Row]:
        """The validations with a value of the metric."""
        return watched.validated(self.metric)

    def condition(self, limit: str = "") -> str:  # noqa: ARG002
        """For example ``val_loss/total not decreasing for 2 epochs``."""
        by = f" by {self.min_delta:g}" if self.min_delta else ""
        epochs = plural(self.patience, "epoch")
        return f"{self.metric} not {self.movement}{by} for {epochs}"

    def observe(self, view: View) -> Observation:
        """The number of newest validations without improvement, at most N."""
        values = [self.sign * self._value(row) for row in islice(view.rows, view.first, view.at + 1)]
        idle = next((count for count in range(self.patience, 0, -1) if self._stands_still(values, count)), 0)
        value, best = self._value(view.row), self.sign * _best(values[: -self.patience])
        before = f"the best before was {best:.6g}" if is_finite(best) else "no earlier value was finite"
        return Observation(
            row=view.row,
            metric=self.metric,
            value=value,
            limit=best if is_finite(best) else None,
            room=self.patience - idle,
            fires=idle == self.patience,
            message=f"{self.metric} is {value:.6g} {view.row.place}; {before}",
            idle=(idle, self.patience),
        )

    def _value(self, row: Row) -> float:
        return row.metrics[self.metric] if self.metric in row.metrics else row.epoch_means[self.metric]

    def _stands_still(self, values: Sequence[float], count: int) -> bool:
        """Whether the last `count` values bring no improvement on those before them; smaller is better."""
        if len(values) <= count:
            return False
        best = _best(values[:-count])
        return not any(value < best - self.min_delta for value in values[-count:])


def _best(values: Sequence[float]) -> float:
    return min(filter(is_finite, values), default=float("inf"))


class NotDecreasing(Stalled):
    """Fires when none of the last N validations was below the best before them by more than `min_delta`."""

    sign: ClassVar[Literal[1, -1]] = 1
    movement: ClassVar[str] = "decreasing"
    example: ClassVar[Mapping[str, Any]] = {
        "metric": "val_loss/total",
        "not_decreasing_for": "2 epochs",
        "min_delta": 0.001,
        "action": "stop",
        "why": "it has converged",
    }

    not_decreasing_for: Epochs
    """How many validations in a row may pass without an improvement, for a metric that should fall."""

    @property
    def patience(self) -> int:
        """N."""
        return self.not_decreasing_for


class NotIncreasing(Stalled):
    """Fires when none of the last N validations was above the best before them by more than `min_delta`."""

    sign: ClassVar[Literal[1, -1]] = -1
    movement: ClassVar[str] = "increasing"
    example: ClassVar[Mapping[str, Any]] = {
        "metric": "val_accuracy",
        "not_increasing_for": "3 epochs",
        "min_delta": 0.001,
        "after": "2 epochs",
        "action": "stop",
    }

    not_increasing_for: Epochs
    """How many validations in a row may pass without an improvement, for a metric that should rise."""

    @property
    def patience(self) -> int:
        """N."""
        return self.not_increasing_for
