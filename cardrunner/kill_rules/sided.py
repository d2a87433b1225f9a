"""What rules with ``above`` or ``below`` share: one of the two, and a value against a limit."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from cardrunner.kill_rules.base import Observation, Rule, exceeds
from cardrunner.kill_rules.history import Row
from cardrunner.kill_rules.quantities import number_text


class Sided(Rule):
    """A rule that has exactly one of `above` and `below`, each of its own kind. NaN is always beyond the limit."""

    metric: str
    """A validation metric or an alias of it; a training metric, judged at log points; or a quantity of the run."""

    @model_validator(mode="after")
    def _one_limit(self) -> Sided:
        if (self._stated("above") is None) == (self._stated("below") is None):
            raise ValueError("give exactly one of above and below")
        return self

    @property
    def over(self) -> bool:
        """Whether larger values fire."""
        return self._stated("above") is not None

    @property
    def side(self) -> str:
        """The key that holds the limit: above or below."""
        return "above" if self.over else "below"

    @property
    def key(self) -> str:
        """The key that holds the limit."""
        return self.side

    def on_the_best(self) -> bool | None:
        """Whether it fires on a value that is the best so far itself; None where it compares with something else."""
        return None

    @property
    def limit(self) -> float | None:
        """The limit, where it does not depend on the history."""
        return None

    def against(self, row: Row, limit: float, *, note: str = "") -> Observation:
        """The metric at a row, against a limit."""
        value = row.metrics[self.metric]
        return Observation(
            row=row,
            value=value,
            limit=limit,
            room=limit - value if self.over else value - limit,
            fires=exceeds(value, limit) if self.over else exceeds(-value, -limit),
            message=f"{self.metric} is {number_text(self.metric)(value)} {row.place}{note}",
            metric=self.metric,
        )

    def _stated(self, side: str) -> Any:
        return getattr(self, side)
