"""``metric: above/below a limit``, optionally only after some epochs."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import model_validator

from cardrunner.kill_rules.base import Epochs, Limit, Observation, Rule, Validation, Verdict, exceeds


class MetricLimit(Rule):
    """Fires when the newest value of a metric is beyond the limit; NaN is always beyond it."""

    metric: str
    """The metric's name, or an alias of it."""
    above: Limit | None = None
    """Fire when the value is above this."""
    below: Limit | None = None
    """Fire when the value is below this."""
    after: Epochs | None = None
    """Look only once this many epochs have been trained."""
    baseline: str | None = None
    """The baseline run this limit is meant against; a limit tighter than it is warned about."""

    @model_validator(mode="after")
    def _one_limit(self) -> MetricLimit:
        if (self.above is None) == (self.below is None):
            raise ValueError("give exactly one of above and below")
        return self

    @property
    def limit(self) -> float:
        """The stated limit, whichever side it is on."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]

    def describe(self) -> str:
        """For example ``val_stick_mae > 0.03 after epoch 1``."""
        sign = ">" if self.above is not None else "<"
        scope = f" after epoch {self.after}" if self.after else ""
        return f"{self.metric} {sign} {self.limit:g}{scope}"

    def verdict(self, history: Sequence[Validation]) -> Verdict | None:
        """Judge the newest validation."""
        newest = history[-1] if history else None
        if newest is None or newest.epoch < (self.after or 0) or self.metric not in newest.metrics:
            return None
        value = newest.metrics[self.metric]
        beyond = exceeds(value, self.limit) if self.above is not None else exceeds(-value, -self.limit)
        if not beyond:
            return None
        return Verdict(
            rule=-1,
            action=self.action,
            condition=self.describe(),
            epoch=newest.epoch,
            step=newest.step,
            value=value,
            limit=self.limit,
            message=f"{self.metric} is {value:.6g} after epoch {newest.epoch}",
        )

    def observe(self, history: Sequence[Validation]) -> Observation | None:
        """The newest value and its distance to the limit."""
        newest = history[-1] if history else None
        if newest is None or newest.epoch < (self.after or 0) or self.metric not in newest.metrics:
            return None
        value = newest.metrics[self.metric]
        room = self.limit - value if self.above is not None else value - self.limit
        return Observation(epoch=newest.epoch, value=value, limit=self.limit, room=room, metric=self.metric)
