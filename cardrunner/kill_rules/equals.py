"""``equals``: a value too good, or too round, to be true."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from cardrunner.kill_rules.base import Limit, Observation, Rule
from cardrunner.kill_rules.history import View


class Equals(Rule):
    """Fires when the newest value of a metric is exactly the suspicious one, such as an accuracy of 1, or NaN."""

    example: ClassVar[Mapping[str, Any]] = {
        "metric": "val_accuracy",
        "equals": "100%",
        "action": "investigate",
        "why": "too good to be true",
    }

    metric: str
    """A validation metric or an alias of it, judged at validations; or a training metric, judged at log points."""
    equals: Limit
    """The suspicious value, compared exactly."""

    @property
    def key(self) -> str:
        """``equals``."""
        return "equals"

    def stated_values(self) -> Mapping[str, float]:
        """The suspicious value."""
        return {"equals": self.equals}

    def condition(self, limit: str = "") -> str:
        """For example ``val_accuracy is exactly 1``."""
        return f"{self.metric} is exactly {limit or f'{self.equals:g}'}"

    def observe(self, view: View) -> Observation:
        """The value and its distance from the suspicious one."""
        value = view.row.metrics[self.metric]
        apart = abs(value - self.equals)
        return Observation(
            row=view.row,
            value=value,
            limit=self.equals,
            room=apart,
            fires=math.isnan(apart) or apart == 0,
            message=f"{self.metric} is {value:.6g} {view.row.place}",
            metric=self.metric,
        )
