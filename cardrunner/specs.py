"""What a workload and a platform say about themselves, without torch or an SDK.

Part of `cardrunner.contracts`, where all of it can be had too. It has a module of its own because reading a card
imports it at every start, and nothing else of the contracts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from cardrunner.errors import UsageError
from cardrunner.units import format_percent

if TYPE_CHECKING:
    from pathlib import Path

    from cardrunner.card.prices import Price
    from cardrunner.card.schema.card import Card
    from cardrunner.card.schema.data import DataSection
    from cardrunner.card.schema.infra import InfraBase
    from cardrunner.card.schema.training import ModelSection, TrainingSection


Location = tuple[str | int, ...]
"""A place in a card: ``("targets", 0, "metric")``."""
Severity = Literal["error", "warning"]
Direction = Literal["min", "max"]
S = TypeVar("S")


class Range(NamedTuple):
    """The values that a metric can have, both ends included."""

    lower: float = -math.inf
    upper: float = math.inf
    percent: bool = False
    """Written as a percentage."""

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
        """Whether it may be measured; NaN and infinite values may, where a run went wrong."""
        return not math.isfinite(value) or self.lower <= value <= self.upper

    def value_fault(self, value: float, metric: str) -> str | None:
        """Why a number in a card is no value of a metric, with a guess at what was meant; None where it may be one."""
        if self.holds(value):
            return None
        meant = f"; did you mean {value:g}%?" if self._of_one and _LEAST_PERCENT <= value <= 100 else ""
        return f"is {value:g}, but {metric} {self}{meant}"

    def difference_fault(self, difference: float, metric: str) -> str | None:
        """The same of a number that two values of the metric are to differ by: less than the whole range.

        No two values differ by more than `width`, and only the two ends of the range by just as much.
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
"""A share just above 1, such as 110%, was written as one; a larger one lacks its sign."""


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
    lower: float | None = None
    """The least value that it can have; None: 0 for a percentage, and unbounded for others."""
    upper: float | None = None
    """The largest value that it can have; None: 1 for a percentage, which is 100%, and unbounded for others."""

    @property
    def range(self) -> Range:
        """The values that it can have."""
        lowest, highest = (0.0, 1.0) if self.percent else (-math.inf, math.inf)
        lower = lowest if self.lower is None else self.lower
        return Range(lower, highest if self.upper is None else self.upper, self.percent)

    def written(self, value: float) -> str:
        """A value as people write it: ``98.2%``, ``0.0132``."""
        return format_percent(value) if self.percent else f"{value:.6g}"


class TrivialBaseline(NamedTuple):
    """A predictor that learned nothing, scored beside the model so that a number can be read."""

    name: str
    meaning: str


class Derived(NamedTuple):
    """A stated number of a card and what the card's other numbers make of it."""

    loc: Location
    stated: float
    derived: float
    formula: str
    """How it was derived, with the numbers in it: ``206754081 frames - 22000 games x 10``."""
    tolerance: float = 0.0
    """Largest absolute difference that still agrees."""
    unit: str = ""


class Remark(NamedTuple):
    """Something a workload finds wrong or odd in a card."""

    loc: Location
    message: str
    severity: Severity = "error"


class WorkloadSpec(Protocol):
    """The torch-free half of a workload (its ``spec.py``)."""

    name: str
    data_section: type[DataSection]  # its own `data:` fields
    model_section: type[ModelSection]  # its own `model:` fields
    training_section: type[TrainingSection]  # its own `training:` fields
    metrics: tuple[MetricSpec, ...]  # everything it computes, in the order people read it
    trivial_baselines: tuple[TrivialBaseline, ...]

    def derive(self, card: Card) -> Iterable[Derived]: ...  # every stated number that follows from others
    def check(self, card: Card) -> Iterable[Remark]: ...  # what else is wrong, such as an unknown architecture
    def examples(self, card: Card) -> tuple[int, int] | None: ...  # training and validation examples, where derivable
    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]: ...  # section -> rows (field, value)


@runtime_checkable
class OffersStarter(Protocol):
    """A `WorkloadSpec` may also bring the card that `cardrunner new` begins with."""

    def starter(self) -> str: ...  # a whole valid card with comments, unsigned, of a run called my-run


@runtime_checkable
class WordsFields(Protocol):
    """A `WorkloadSpec` may also say which of its own fields `describe` has words for; the page shows the others under
    their names."""

    worded: Mapping[str, Sequence[str]]  # section -> its own fields, such as {"data": ("games", "frames")}


@runtime_checkable
class ForeseesData(Protocol):
    """A `WorkloadSpec` may also tell, before any file is open, how the data will be read; the plan shows it."""

    def data_mode(self, card: Card) -> str | None: ...  # such as "memory-mapped, full shuffle"; None: it cannot tell


class DataMatch(NamedTuple):
    """Whether the models that meet in a demo learned from the same data: what a distribution match comes to."""

    parts: Mapping[str, str]
    """Each model and what it learned from."""
    sentence: str
    """The answer."""
    agrees: bool | None
    """None: it cannot be told, or there is nothing to compare."""


@runtime_checkable
class ForeseesMatch(Protocol):
    """A `WorkloadSpec` may also tell, before the launch, whether the models of the demo learned from the same data."""

    def data_match(self, card: Card, workspace: Path) -> DataMatch | None: ...  # None: the card asks for no demo


class Storage(NamedTuple):
    """Where a remote platform keeps runs and their data, as a card names it."""

    volume: str
    checkpoints: str
    """The folder on the volume that holds run folders."""
    title: str
    """For people: ``Modal volume runs``."""

    def folder_of(self, run: str) -> str:
        """The folder of a run on the volume."""
        return f"{self.checkpoints.rstrip('/')}/{run}"


class Assumption(NamedTuple):
    """Something that a plan takes on trust."""

    what: str
    """``whether T4 is free``."""
    why: str
    """Why it is not looked up."""


class PlatformSpec(Protocol):
    """What a platform says about itself without its SDK (the spec of its `cardrunner.platforms.PlatformEntry`).

    `infra` is always an instance of its own section class; a card is one of its own.
    """

    name: str  # as `infra.platform` has it
    infra: type[InfraBase]  # its own `infra:` fields
    free: bool  # time on it costs nothing where the card states no price
    resumes_after_timeout: bool  # its retries go on with an attempt that reached its timeout

    def executor_of(self, infra: Any) -> str: ...  # which of the executors it offers the card chooses
    def detaches(self, infra: Any) -> bool: ...  # a launch returns once the run trains, without --detach too
    def storage(self, infra: Any) -> Storage | None: ...  # None: runs and data are on this machine
    def prices(self) -> Mapping[str, Price]: ...  # by resource; empty where no table applies
    def check(self, card: Card) -> Iterable[Remark]: ...  # what is wrong with a card for it
    def title(self, infra: Any) -> str: ...  # the row Platform of the review page
    def rows(self, infra: Any) -> Sequence[tuple[str, str]]: ...  # its further rows there (field, value)
    # what a plan takes on trust; `offline` says why the platform was not asked, None: it was
    def unchecked(self, card: Card, *, offline: str | None) -> Iterable[Assumption]: ...


def narrowed(section: object, kind: type[S], *, workload: str) -> S:
    """A section of a card as the type that a workload gave it.

    Raises:
        UsageError: the card was read with the sections of another workload.
    """
    if not isinstance(section, kind):
        raise UsageError(f"this is not a card of the workload {workload}; load it with that workload's sections")
    return section


class MetricNames:
    """Resolves the metric names people write to the validation metrics a workload computes."""

    def __init__(self, metrics: tuple[MetricSpec, ...]) -> None:
        self._index = {name: spec for spec in metrics for name in (f"val_{spec.name}", *spec.aliases)}
        trained = (spec for spec in metrics if not spec.validation_only)
        self._training = {spec.name: spec for spec in trained if spec.name not in self._index}

    def spec(self, name: str) -> MetricSpec | None:
        """The metric behind a name or an alias; None when nothing computes it."""
        return self._index.get(name)

    def training(self, name: str) -> MetricSpec | None:
        """The metric whose value in training a name means: its own, without ``val_``."""
        return self._training.get(name)

    def canonical(self, name: str) -> str:
        """``stick_mae`` -> ``val_metric/stick_mae``; a name nobody declares stays as it is."""
        spec = self._index.get(name)
        return f"val_{spec.name}" if spec else name

    def known(self, *, training: bool = False) -> Iterator[str]:
        """Every name that can be written in a card; with `training` also those of what is measured in training."""
        yield from self._index
        yield from self._training if training else ()

    def with_aliases(self, values: Mapping[str, float]) -> dict[str, float]:
        """The same values under every name people use."""
        names = {alias: values[key] for alias, spec in self._index.items() if (key := f"val_{spec.name}") in values}
        return {**values, **names}


class AddedField:
    """Marks a field that `card: 1` got after cards of it were signed.

    Such a field is part of the signed content only where it says something else than its default, so that a card that
    was signed before keeps its digest, and means what it meant.
    """


ADDED = AddedField()
