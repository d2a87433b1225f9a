"""The values that cards, kill rules and workloads exchange about metrics, derived numbers and faults of a card."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from cardrunner.common.units import format_percent

Location = tuple[str | int, ...]
"""A place in a card: ``("targets", 0, "metric")``."""
Severity = Literal["error", "warning"]
Direction = Literal["min", "max"]


class Range(NamedTuple):
    """The values that a metric can have, both ends included."""

    lower: float = -math.inf
    upper: float = math.inf
    percent: bool = False
    """Whether values are written as percentages."""

    def __str__(self) -> str:
        """The rest of a sentence about a metric: ``is a share, from 0% to 100%``."""
        if self.percent and math.isfinite(self.width):
            return f"is a share, from {format_percent(self.lower)} to {format_percent(self.upper)}"
        if math.isfinite(self.width):
            return f"lies from {self.lower:g} to {self.upper:g}"
        if math.isfinite(self.lower):
            return f"is never below {self.lower:g}"
        return f"is never above {self.upper:g}" if math.isfinite(self.upper) else "may have any value"

    def holds(self, value: float) -> bool:
        """Whether a value is in the range. NaN and infinite values are accepted: a diverged run measures them."""
        return not math.isfinite(value) or self.lower <= value <= self.upper

    def value_fault(self, value: float, metric: str) -> str | None:
        """Why a number in a card cannot be a value of the metric, with a guess at what was meant; None if it can."""
        if self.holds(value):
            return None
        meant = f"; did you mean {value:g}%?" if self._of_one and _LEAST_PERCENT <= value <= 100 else ""
        return f"is {value:g}, but {metric} {self}{meant}"

    def difference_fault(self, difference: float, metric: str) -> str | None:
        """Why a number cannot be a useful difference of two values of the metric; None if it is less than `width`.

        `width` itself is only the difference between the two ends of the range.
        """
        size = abs(difference)
        if size < self.width:
            return None
        meant = f"; did you mean {difference / 100:g}?" if self._of_one and size <= 100 else ""
        return f"is a difference of {difference:g}, but {metric} {self}{meant}"

    @property
    def width(self) -> float:
        """The largest difference between two of its values."""
        return self.upper - self.lower

    @property
    def _of_one(self) -> bool:
        return (self.lower, self.upper) == (0, 1)


_LEAST_PERCENT = 2
"""From here on, a number for a share probably lacks its percent sign; below, it was meant as a share, such as 110%."""


class MetricSpec(NamedTuple):
    """A metric that a workload computes. `name` has no ``val_`` prefix; on validation data it is ``val_`` + name."""

    name: str
    direction: Direction
    unit: str
    meaning: str
    aliases: tuple[str, ...] = ()
    """Other names of the validation metric that people write in cards."""
    percent: bool = False
    """Shown as a percentage."""
    validation_only: bool = False
    """Not computed in training, where it is NaN."""
    training_only: bool = False
    """Not computed in validation."""
    lower: float | None = None
    """The least value that it can have; None: 0 for a percentage, and unbounded for others."""
    upper: float | None = None
    """The largest value that it can have; None: 1 for a percentage, which is 100%, and unbounded for others."""

    @property
    def range(self) -> Range:
        """The values that the metric can have."""
        lowest, highest = (0.0, 1.0) if self.percent else (-math.inf, math.inf)
        lower = lowest if self.lower is None else self.lower
        return Range(lower, highest if self.upper is None else self.upper, self.percent)

    def written(self, value: float) -> str:
        """A value as text: ``98.2%``, ``0.0132``."""
        return format_percent(value) if self.percent else f"{value:.6g}"


class TrivialBaseline(NamedTuple):
    """A predictor without learning, scored beside the model as a reference."""

    name: str
    meaning: str


class Derived(NamedTuple):
    """A number that a card states, and its value derived from the card's other numbers."""

    loc: Location
    stated: float
    derived: float
    formula: str
    """How it was derived, with the numbers in it: ``206754081 rows - 22000 files x 10``."""
    tolerance: float = 0.0
    """The largest absolute difference that counts as equal."""
    unit: str = ""


class Remark(NamedTuple):
    """A fault or a warning about a card."""

    loc: Location
    message: str
    severity: Severity = "error"


class DataMatch(NamedTuple):
    """Whether the models in a demo were trained on the same data."""

    parts: Mapping[str, str]
    """Each model and the data it was trained on."""
    sentence: str
    """The answer."""
    agrees: bool | None
    """None if it is unknown, or there is nothing to compare."""


class MetricNames:
    """Resolves the metric names in a card to the validation metrics that a workload computes."""

    def __init__(self, metrics: tuple[MetricSpec, ...]) -> None:
        validated = [spec for spec in metrics if not spec.training_only]
        self._index = {name: spec for spec in validated for name in (f"val_{spec.name}", *spec.aliases)}
        trained = (spec for spec in metrics if not spec.validation_only)
        self._training = {spec.name: spec for spec in trained if spec.name not in self._index}

    def spec(self, name: str) -> MetricSpec | None:
        """The metric of a name or an alias; None for an unknown one."""
        return self._index.get(name)

    def training(self, name: str) -> MetricSpec | None:
        """The metric whose training value a name refers to: the name without ``val_``."""
        return self._training.get(name)

    def canonical(self, name: str) -> str:
        """``error`` -> ``val_metric/error``; unknown names stay unchanged."""
        spec = self._index.get(name)
        return f"val_{spec.name}" if spec else name

    def known(self, *, training: bool = False) -> Iterator[str]:
        """Every name that a card can use; with `training`, also the names of training values."""
        yield from self._index
        yield from self._training if training else ()

    def with_aliases(self, values: Mapping[str, float]) -> dict[str, float]:
        """The same values under every name and alias."""
        names = {alias: values[key] for alias, spec in self._index.items() if (key := f"val_{spec.name}") in values}
        return {**values, **names}


class AddedField:
    """Marks a field that was added to `card: 1` after cards had been signed.

    Such a field counts as signed content only if it differs from its default, so that older cards keep their digest
    and their meaning.
    """


ADDED = AddedField()
