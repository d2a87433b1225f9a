"""How long it takes and what it costs, before anybody knows."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from cardrunner.card.schema.base import (
    ADDED,
    DOLLARS_SCHEMA,
    DURATION_SCHEMA,
    Dollars,
    FieldError,
    Lines,
    PositiveCount,
    Seconds,
    Section,
    one_or_many,
    one_or_many_schema,
)

SecondsColumns = Annotated[
    tuple[Seconds, ...],
    BeforeValidator(one_or_many),
    Field(min_length=1),
    WithJsonSchema(one_or_many_schema(DURATION_SCHEMA, at_least=1)),
]
DollarColumns = Annotated[
    tuple[Dollars, ...],
    BeforeValidator(one_or_many),
    Field(min_length=1),
    WithJsonSchema(one_or_many_schema(DOLLARS_SCHEMA, at_least=1)),
]


class StatedTiming(Section):
    """Numbers people wrote down; each must be within 10 % of what the card's other numbers give."""

    training: SecondsColumns | None = None
    """All epochs, one value per calibration."""
    total: SecondsColumns | None = None
    """Wall time, one value per calibration."""
    cost: DollarColumns | None = None
    """One value per calibration."""
    batches_per_epoch: PositiveCount | None = None
    """Optimizer steps of one process, before gradient accumulation."""


class Timing(Section):
    """The estimate: one column per calibration factor."""

    calibration: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=10)] = (
        1.0,
        3.0,
        5.0,
    )
    """Factors over the optimistic estimate."""
    epoch: SecondsColumns | None = None
    """One epoch: a single value is scaled by the factors, a list gives each column."""
    total: Annotated[SecondsColumns | None, ADDED] = None
    """The whole run instead of one epoch, loading included, where epochs are not counted."""
    data_load: SecondsColumns = (0.0,)
    """Before the first step: a single value is the same in each column, a list gives each column."""
    data_load_measured: Seconds | None = None
    """What loading took the last time."""
    stated: StatedTiming = Field(default_factory=StatedTiming.model_construct)
    budget: Dollars | None = None
    """The run saves and stops before it spends more."""
    on_projected_overrun: Annotated[Literal["warn", "investigate", "stop"], ADDED] = "warn"
    """What happens when the run, as measured so far, would end beyond its budget or its timeout."""
    notes: Lines = ()
    """Where the numbers come from."""

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        width = len(self.calibration)
        if self.epoch is not None and self.total is not None:
            raise FieldError("is for a run whose epochs are not timed; leave it out, or timing.epoch", "total")
        names = ("epoch", "total", "data_load")
        columns: dict[tuple[str, ...], Any] = {(name,): getattr(self, name) for name in names}
        columns |= {("stated", name): getattr(self.stated, name) for name in ("training", "total", "cost")}
        if self.epoch is None and self.total is None:
            raise FieldError("is missing; say how long one takes, or give timing.total", "epoch")
        for at, value in columns.items():
            if value is not None and len(value) not in (1, width):
                raise FieldError(f"has {len(value)} values for {width} calibrations; give one or {width}", *at)
        return self

    def columns(self, epochs: int) -> tuple[tuple[float, float], ...]:
        """The seconds of one epoch and of the loading at each calibration.

        Args:
            epochs: of the whole run, into which `total` is divided.
        """
        width = len(self.calibration)
        loads = self.data_load * width if len(self.data_load) == 1 else self.data_load
        stated = self.total if self.epoch is None else self.epoch
        assert stated is not None  # the validator has seen one of them
        times = stated if len(stated) == width > 1 else tuple(stated[0] * factor for factor in self.calibration)
        if self.epoch is None:
            times = tuple(max(0.0, time - load) / epochs for time, load in zip(times, loads, strict=True))
        return tuple(zip(times, loads, strict=True))
