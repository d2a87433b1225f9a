"""What the run is measured by: earlier runs and targets."""

from typing import Literal, Self

from pydantic import Field, model_validator

from cardrunner.card.schema.base import (
    FieldError,
    Identifier,
    Line,
    LineOrNumber,
    Lines,
    Number,
    PositiveCount,
    Section,
)


class Baseline(Section):
    """An earlier run to compare with. A workload may know more fields under `facts`."""

    run: Identifier
    """Its name."""
    metrics: dict[str, Number] = Field(min_length=1)
    """Values by metric name or alias."""
    facts: dict[str, LineOrNumber] = Field(default_factory=dict)
    """Anything else that tells it apart, such as documents: 50."""
    notes: Lines = ()
    """What one should know about it."""


class FreeMetric(Section):
    """A metric that no workload computes and people read off themselves, such as a judgement of the demo."""

    name: Line
    """Its name, as targets write it."""
    direction: Literal["min", "max"]
    """Which way is better."""
    unit: Line
    """What it counts, such as points of 5."""
    horizon: PositiveCount | None = None
    """Steps ahead, for metrics per horizon."""
    meaning: Line | None = None
    """How one reads it off."""


class Target(Section):
    """What the run is for, as a number."""

    metric: Line
    """A metric of the workload, an alias of one, or one of `metrics`."""
    below: Number | None = None
    """Reached by a smaller value; only one of below and above."""
    above: Number | None = None
    """Reached by a larger value; only one of below and above."""
    baseline: Identifier | None = None
    """The earlier run it is compared with."""
    tier: Line | None = None
    """The success tier it belongs to."""
    notes: Lines = ()
    """Why this number."""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.below is None and self.above is None:
            raise ValueError("give below or above: the value to reach")
        if self.below is not None and self.above is not None:
            raise FieldError("give only one of below and above", "above")
        return self

    @property
    def limit(self) -> float:
        """The number to reach."""
        return self.below if self.below is not None else self.above  # type: ignore[return-value]

    def met_by(self, value: float) -> bool:
        """True when `value` is strictly on the right side; NaN never is."""
        return value < self.limit if self.below is not None else value > self.limit
