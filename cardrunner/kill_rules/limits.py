"""What rules with ``above`` or ``below`` share: exactly one of the two keys, and a value compared with a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import ValidationInfo, WithJsonSchema, field_validator, model_validator

from cardrunner.kill_rules.base import Bound, Limit, Observation, Rule, Side, Span
from cardrunner.kill_rules.history import Row, View
from cardrunner.kill_rules.quantities import QUANTITIES, number_text
from cardrunner.specs import Direction, Remark


class Sided(Rule):
    """A rule with exactly one of `above` and `below`. NaN is always beyond the limit."""

    watches_quantities: ClassVar[bool] = True

    metric: str
    """A validation metric or an alias of it; a training metric, judged at log points; or a quantity of the run."""

    @model_validator(mode="after")
    def _one_limit(self) -> Sided:
        if (self._stated("above") is None) == (self._stated("below") is None):
            raise ValueError("give exactly one of above and below")
        return self

    @property
    def over(self) -> bool:
        """Whether the rule fires on larger values."""
        return self._stated("above") is not None

    @property
    def side(self) -> Side:
        """The key that holds the limit: above or below."""
        return "above" if self.over else "below"

    @property
    def key(self) -> str:
        """The key that holds the limit."""
        return self.side

    def check_direction(self, better: Direction) -> Iterator[Remark]:
        """A fault if it fires on the better side of its metric."""
        if self.over == (better == "max"):
            way = "smaller" if better == "min" else "larger"
            message = f"{self.metric} is better when {way}: this fires on good values"
            yield Remark(loc=(self.side,), message=message, severity="warning")

    def against(self, row: Row, limit: float, *, note: str = "") -> Observation:
        """The observation of the metric at a row against a limit."""
        value = row.metrics[self.metric]
        return Observation(
            row=row,
            value=value,
            limit=limit,
            room=limit - value if self.over else value - limit,
            fires=Bound(self.metric, self.side, limit).fires_on(value),
            message=f"{self.metric} is {number_text(self.metric)(value)} {row.place}{note}",
            metric=self.metric,
        )

    def _stated(self, side: str) -> Any:
        return getattr(self, side)


class FixedLimit(Sided):
    """A rule whose limit is the number that the card states."""

    @property
    def limit(self) -> float:
        """The value of `above` or `below`."""
        return float(self._stated(self.side))

    @property
    def bound(self) -> Bound:
        """The limit with its metric and its side."""
        return Bound(self.metric, self.side, self.limit)

    def condition(self, limit: str = "") -> str:
        """For example ``val_error > 0.03``, ``epoch_time > 45 min``."""
        return f"{self.metric} {'>' if self.over else '<'} {limit or self._limit_text()}"

    def observe(self, view: View) -> Observation:
        """The value and its distance to the limit."""
        return self.against(view.row, self.limit)

    def _limit_text(self) -> str:
        return number_text(self.metric)(self.limit)


class MetricLimit(FixedLimit):
    """Fires when the newest value of a metric is beyond the limit; NaN is always beyond it."""

    example: ClassVar[Mapping[str, Any]] = {
        "metric": "val_loss/total",
        "above": 0.1,
        "after": "1 epoch",
        "baseline": "policy-imitation-4k",
        "action": "investigate",
        "why": "too high",
    }

    metric: Annotated[str, WithJsonSchema({"type": "string", "not": {"enum": list(QUANTITIES)}})]
    """A validation metric or an alias of it, judged at validations; or a training metric, judged at log points."""
    above: Limit | None = None
    """Fire when the value is above this."""
    below: Limit | None = None
    """Fire when the value is below this."""
    after: Span | None = None
    """Start here: the rule ignores everything trained before."""
    baseline: str | None = None
    """The baseline run that the limit is derived from; a limit tighter than its value gives a warning."""

    def baselines(self) -> Iterator[tuple[str, str]]:
        """The baseline that the limit is derived from."""
        yield from () if self.baseline is None else [("baseline", self.baseline)]

    def check_baselines(self, reached: Mapping[str, float | None]) -> Iterator[Remark]:
        """A warning if the baseline that it names would not pass."""
        value = None if self.baseline is None else reached.get(self.baseline)
        if value is not None and self.bound.fires_on(value):
            message = f"{self.limit:g} is tighter than {self.baseline}, which has {value:g}: that run would not pass"
            yield Remark(loc=(self.side,), message=message, severity="warning")

    def page_row(self, limit: str = "") -> tuple[str, str]:
        """Add the baseline that the limit is derived from."""
        condition, action = super().page_row(limit)
        return condition + (f", against {self.baseline}" if self.baseline else ""), action

    def _limit_text(self) -> str:
        return f"{self.limit:g}"


Amount = Annotated[
    float,
    WithJsonSchema({"type": ["number", "string"], "examples": [quantity.example for quantity in QUANTITIES.values()]}),
]


class QuantityLimit(FixedLimit):
    """Fires when a quantity of the run is beyond the limit, which is written in the quantity's own unit."""

    example: ClassVar[Mapping[str, Any]] = {
        "metric": "examples_per_second",
        "below": 1000,
        "not_before": "10 min",
        "within": "10 epochs",
        "action": "investigate",
    }

    metric: Annotated[str, WithJsonSchema({"type": "string", "enum": list(QUANTITIES)})]
    """A quantity that the run measures about itself."""
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
        """True: it limits the time and cost of further training."""
        return True
