"""``non_finite``: a metric that is NaN or infinite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from cardrunner.kill_rules.base import Observation, Rule
from cardrunner.kill_rules.history import View


class NonFinite(Rule):
    """Fires when the newest value of a metric is not a finite number."""

    example: ClassVar[Mapping[str, Any]] = {
        "metric": "loss/total",
        "non_finite": True,
        "action": "restart",
        "set": {"training.learning_rate": 1e-4},
    }

    metric: str
    """A validation metric or an alias of it, judged at validations; or a training metric, judged at log points."""
    non_finite: Literal[True]
    """Always true: fire when the value is NaN or infinite."""

    @field_validator("non_finite", mode="before")
    @classmethod
    def _only_true(cls, value: Any) -> Any:
        if value is not True:
            raise ValueError("must be true; leave the rule out where the value may be anything")
        return value

    @property
    def key(self) -> str:
        """``non_finite``."""
        return "non_finite"

    def condition(self, limit: str = "") -> str:  # noqa: ARG002
        """For example ``loss/total is not finite``."""
        return f"{self.metric} is not finite"

    def observe(self, view: View) -> Observation:
        """The value, which fires if it is not finite."""
        value = view.row.metrics[self.metric]
        bad = not math.isfinite(value)
        return Observation(
            row=view.row,
            value=value,
            limit=None,
            room=0.0 if bad else math.inf,
            fires=bad,
            message=f"{self.metric} is {value:.6g} {view.row.place}",
            metric=self.metric,
        )
