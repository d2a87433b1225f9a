"""What rules with ``above`` or ``below`` share: one of the two, and a value against a limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import ValidationInfo, WithJsonSchema, field_validator, model_validator

from cardrunner.kill_rules.base import Limit, Observation, Rule, Span, exceeds
from cardrunner.kill_rules.history import Row, View
from cardrunner.kill_rules.quantities import QUANTITIES, number_text


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


class MetricLimit(Sided):
    """Fires when the newest value of a metric is beyond the limit; NaN is always beyond it."""

    metric: Annotated[str, WithJsonSchema({"type": "string", "not": {"enum": list(QUANTITIES)}})]
    """A validation metric or an alias of it, judged at validations; or a training metric, judged at log points."""
    above: Limit | None = None
    """Fire when the value is above this."""
    below: Limit | None = None
    """Fire when the value is below this."""
    after: Span | None = None
    """Look only once so much has been trained: what came earlier is no part of what the rule sees."""
    baseline: str | None = None
    """The baseline run this limit is meant against; a limit tighter than it is warned about."""

    @property
    def limit(self) -> float:
        """The stated limit, whichever side it is on."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]

    def baselines(self) -> Iterator[tuple[str, str]]:
        """The one that the limit is meant against."""
        yield from () if self.baseline is None else [("baseline", self.baseline)]

    def condition(self, limit: str = "") -> str:
        """For example ``val_stick_mae > 0.03``."""
        return f"{self.metric} {'>' if self.over else '<'} {limit or f'{self.limit:g}'}"

    def look(self, view: View) -> Observation:
        """The value and its distance to the limit."""
        return self.against(view.row, self.limit)


Amount = Annotated[
    float,
    WithJsonSchema({"type": ["number", "string"], "examples": [quantity.example for quantity in QUANTITIES.values()]}),
]


class QuantityLimit(Sided):
    """Fires when a quantity of the run is beyond the limit, which is written in the quantity's own unit."""

    metric: Annotated[str, WithJsonSchema({"type": "string", "enum": list(QUANTITIES)})]
    """What the run measures of itself."""
    above: Amount | None = None
    """Fire when the quantity is above this, such as 45 min for epoch_time or $5 for cost."""
    below: Amount | None = None
    """Fire when the quantity is below this, such as 1000 for examples_per_second."""

    @field_validator("above", "below", mode="before")
    @classmethod
    def _in_its_unit(cls, value: Any, info: ValidationInfo) -> float:
        return QUANTITIES[info.data["metric"]].read(value)

    @property
    def moot_when_trained(self) -> bool:
        """It is about the time and money that going on takes."""
        return True

    @property
    def limit(self) -> float:
        """The stated limit, whichever side it is on."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]

    def condition(self, limit: str = "") -> str:
        """For example ``epoch_time > 45 min``."""
        return f"{self.metric} {'>' if self.over else '<'} {limit or number_text(self.metric)(self.limit)}"

    def look(self, view: View) -> Observation:
        """The quantity and its distance to the limit."""
        return self.against(view.row, self.limit)
