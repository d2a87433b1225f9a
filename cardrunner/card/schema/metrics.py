"""What the run is measured by: earlier runs and targets."""

from __future__ import annotations

from typing import Literal

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
    metrics: dict[str, Number] = Field(min_length=1)
    """Values by metric name or alias."""
    facts: dict[str, LineOrNumber] = Field(default_factory=dict)
    """Anything else that tells it apart, such as games: 50."""
    notes: Lines = ()


class FreeMetric(Section):
    """A metric that no workload computes and people read off themselves, such as a judgement of the demo."""

    name: Line
    direction: Literal["min", "max"]
    """Which way is better."""
    unit: Line
    horizon: PositiveCount | None = None
    """Steps ahead, for metrics per horizon."""
    meaning: Line | None = None


class Target(Section):
    """What the run is for, as a number."""

    metric: Line
    below: Number | None = None
    above: Number | None = None
    baseline: Identifier | None = None
    """The earlier run it is compared with."""
    tier: Line | None = None
    """The success tier it belongs to."""
    notes: Lines = ()

    @model_validator(mode="after")
    def _one_side(self) -> Target:
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
