"""What every kill rule shares: its scope, its action, what it sees at a row and the verdict it gives.

A rule fires at the row where its condition becomes true, and stays silent while it remains true: one warning is enough,
and a run that people let continue after a verdict continues. Once the condition has been false in between, the rule may
fire again. Only `restart` fires as long as the condition holds, because it checks whether the restart has helped.
"""

from __future__ import annotations

import contextlib
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, WithJsonSchema
from pydantic_core import core_schema

from cardrunner.common import units
from cardrunner.common.units import Every
from cardrunner.kill_rules.history import Row, RuleHistory, View, passed, reached
from cardrunner.specs import ADDED, Direction, Remark

Action = Literal["warn", "investigate", "stop", "restart"]
Side = Literal["above", "below"]


def _epochs(value: Any) -> Any:
    """Read ``2 epochs`` as 2; raises ValueError with the unit's own message for anything else."""
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError("write a number of epochs, such as 1 epoch or 2 epochs")
    every = units.parse_every(value)
    if every.unit != "epoch":
        raise ValueError("is not a number of epochs; write 1 epoch or 2 epochs")
    return int(every.value)


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.endswith("%"):
        return units.parse_percent(value)
    if value.startswith("$") or _is_duration(value):
        raise ValueError("is not a value of a metric; times are for epoch_time and wall_time, dollars for cost")
    return value


def _is_duration(value: str) -> bool:
    with contextlib.suppress(ValueError):
        return units.parse_duration(value) >= 0
    return False


def _span_value(span: Every) -> int | dict[str, object]:
    """A span as the signed content stores it: whole epochs as a bare number, which was once the only form."""
    if span.unit == "epoch" and span.value.is_integer():
        return int(span.value)
    return {"value": span.value, "unit": span.unit}


Epochs = Annotated[
    int,
    BeforeValidator(_epochs),
    Field(ge=1),
    WithJsonSchema({"type": "string", "pattern": units.EPOCHS_PATTERN, "examples": ["2 epochs"]}),
]
Limit = Annotated[
    float,
    BeforeValidator(_number),
    WithJsonSchema({"type": ["number", "string"], "pattern": units.PERCENT_PATTERN, "examples": [0.03, "95%"]}),
]
Span = Annotated[
    Every,
    GetPydanticSchema(
        lambda _type, _handler: core_schema.no_info_plain_validator_function(
            units.parse_span, serialization=core_schema.plain_serializer_function_ser_schema(_span_value)
        )
    ),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": units.EVERY_PATTERN,
            "description": "A number of steps, epochs or a duration (of training); 0.5 epochs is half an epoch.",
            "examples": ["1 epoch", "500 steps", "10 min"],
        }
    ),
]


class Bound(NamedTuple):
    """A fixed limit of a metric: every value beyond it fires."""

    metric: str
    side: Side
    limit: float

    @property
    def over(self) -> bool:
        """Whether the rule fires on larger values."""
        return self.side == "above"

    def fires_on(self, value: float) -> bool:
        """Whether a value is beyond the limit; NaN always is."""
        return exceeds(value, self.limit) if self.over else exceeds(-value, -self.limit)


class Rule(BaseModel):
    """A kill threshold of a card.

    Its scope is counted in epochs (fractions included), in steps, or in the time that training steps took in all
    attempts; loading and interruptions do not count.

    A kind of rule is a subclass with the fields that a card writes. It states `example` and `condition`, and `observe`
    or `on_event`; everything else has a default here. Cards, pages and reports ask these methods for everything about a
    rule.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True, allow_inf_nan=False
    )
    example: ClassVar[Mapping[str, Any]]
    """A rule of this kind as a card writes it; `cardrunner schema` shows it to editors."""
    watches_quantities: ClassVar[bool] = False
    """Whether its metric may be a quantity of the run, such as ``cost``."""
    by_epoch: ClassVar[bool] = False
    """Whether it judges validations only, even if its metric is a training metric."""

    action: Action
    """What happens when it fires: warn, investigate (save, stop paying, ask), stop, or restart with `set`."""
    why: str | None = None
    """The reason that reviewers agreed on."""
    set: dict[str, Any] | None = None
    """For `restart`: the card fields to change, by path, such as training.batch_size: 512."""
    after: Annotated[Span | None, ADDED] = None
    """Start here: the rule ignores everything trained before."""
    not_before: Annotated[Span | None, ADDED] = None
    """Fire only from here on; earlier rows still count for the comparison."""
    within: Annotated[Span | None, ADDED] = None
    """Stop here: the rule ignores everything trained after."""

    @property
    def watches(self) -> str | None:
        """The metric that it judges; None for a rule about events."""
        return getattr(self, "metric", None)

    @property
    def key(self) -> str:
        """The key that faults of the whole condition point at."""
        return "action"

    @property
    def needs_before(self) -> int:
        """The number of judged rows that must precede the first row at which it can fire."""
        return 0

    @property
    def moot_when_trained(self) -> bool:
        """Whether stopping or restarting is pointless after the last epoch, as for rules about the pace of training."""
        return False

    @property
    def bound(self) -> Bound | None:
        """Its limit if that is fixed; None if it depends on the history."""
        return None

    def baselines(self) -> Iterator[tuple[str, str]]:
        """The baseline runs that it names, by the key that names them."""
        yield from ()

    def stated_values(self) -> Mapping[str, float]:
        """The values of its metric that it states, by key; each must be in the metric's range."""
        return {} if self.bound is None else {self.bound.side: self.bound.limit}

    def stated_differences(self) -> Mapping[str, float]:
        """The differences between two values of its metric that it states, by key."""
        return {}

    def check_direction(self, better: Direction) -> Iterator[Remark]:  # noqa: ARG002
        """Faults of the rule, given which direction is better for its metric; places are keys of the rule."""
        yield from ()

    def check_baselines(self, reached: Mapping[str, float | None]) -> Iterator[Remark]:  # noqa: ARG002
        """Faults of the rule, given the earlier runs of the card; places are keys of the rule.

        Args:
            reached: every baseline run, with its value of the metric if the rule names the run and the run states one.
        """
        yield from ()

    def condition(self, limit: str = "") -> str:
        """The condition without its scope.

        Args:
            limit: the limit as the card writes it, if the condition has one.
        """
        raise NotImplementedError

    def rows(self, watched: RuleHistory) -> Sequence[Row]:
        """The rows that it judges, oldest first: those at which its metric was measured."""
        return () if self.watches is None else watched.measured(self.watches)

    def on_event(self, event: str, at: Row) -> Verdict | None:  # noqa: ARG002
        """Judge an event of the training loop."""
        return None

    def observe(self, view: View) -> Observation | None:  # noqa: ARG002
        """What it sees at a row in its scope; None if there is nothing to compare with yet."""
        return None

    def plot_levels(self, seen: Sequence[Observation]) -> Sequence[float]:  # noqa: ARG002
        """Values at which a plot of its metric gets a horizontal line.

        Args:
            seen: what it saw in the run, oldest first.
        """
        return () if self.bound is None else (self.bound.limit,)

    def page_row(self, limit: str = "") -> tuple[str, str]:
        """Its condition and its action, as the review page shows them.

        Args:
            limit: the limit as the card writes it.
        """
        changes = ", ".join(f"{path} = {value}" for path, value in (self.set or {}).items())
        action = self.action.capitalize() + (f" with {changes}" if changes else "")
        return self.condition(limit) + self.scope(), f"{action}: {self.why}" if self.why else action

    def describe(self) -> str:
        """The condition as a reviewer would read it: ``val_error > 0.03 after epoch 1``."""
        return self.condition() + self.scope()

    def scope(self) -> str:
        """Its scope in words, to follow the condition: `` after epoch 1, within 3 epochs``; empty without a scope."""
        return "".join(
            f"{words} {_span_text(span) if words == ' after' else units.format_every(span)}"
            for words, span in ((" after", self.after), (", not before", self.not_before), (", within", self.within))
            if span is not None
        )

    def in_scope(self, row: Row) -> bool:
        """Whether a row is in its scope."""
        begun = self.after is None or reached(row, self.after)
        return begun and not (self.within is not None and passed(row, self.within))

    def observe_newest(self, watched: RuleHistory) -> Observation | None:
        """What it sees at the newest row, whether it fires or not; None if it does not judge that row."""
        rows = self.rows(watched)
        return self._at(watched, rows, -1) if rows and rows[-1] is watched.newest else None

    def verdict(self, watched: RuleHistory) -> Verdict | None:
        """Judge the newest row; None if the rule does not fire."""
        seen = self.observe_newest(watched)
        if seen is None or not seen.fires:
            return None
        before = None if self.action == "restart" else self._at(watched, self.rows(watched), -2)
        return None if before is not None and before.fires else self.fired(seen)

    def fired(self, seen: Observation) -> Verdict:
        """The verdict on an observation that fires."""
        return Verdict(
            rule=-1,
            action=self.action,
            condition=self.describe(),
            kind=seen.row.kind,
            epoch=seen.row.epoch,
            step=seen.row.step,
            value=seen.value,
            limit=seen.limit,
            message=seen.message,
        )

    def _at(self, watched: RuleHistory, rows: Sequence[Row], back: int) -> Observation | None:
        if len(rows) < -back or not self.in_scope(row := rows[back]):
            return None
        first = 0 if self.after is None else bisect_left(rows, x=True, key=partial(_reached, self.after))
        seen = self.observe(View(watched, rows, first, len(rows) + back))
        early = self.not_before is not None and not reached(row, self.not_before)
        return seen._replace(fires=False) if seen is not None and early else seen


class Observation(NamedTuple):
    """What a rule saw at a row: the value of a metric against a limit.

    Attributes:
        limit: None for a rule without a limit, such as one on finite values.
        room: how far the value may still move before the rule fires; for a rule that counts validations,
            how many are left.
        fires: whether the condition holds, and the rule may fire here.
        message: what was seen, for people.
        idle: for a rule that counts them: validations in a row without improvement, and the number at which it fires.
    """

    row: Row
    metric: str
    value: float
    limit: float | None
    room: float
    fires: bool
    message: str
    idle: tuple[int, int] | None = None


class Verdict(NamedTuple):
    """Why a rule fired. `value` is the measured value, `limit` the agreed one."""

    rule: int
    action: Action
    condition: str
    kind: Literal["train", "validation", "event"]
    epoch: int
    step: int
    value: float | None
    limit: float | None
    message: str


def exceeds(value: float, limit: float) -> bool:
    """True unless `value` is at most `limit`: a NaN never passes a threshold."""
    return not value <= limit


def is_finite(value: float | None) -> bool:
    """True for a real number."""
    return value is not None and math.isfinite(value)


def _span_text(span: Every) -> str:
    """Of `after`: ``epoch 2``, ``500 steps``."""
    whole = span.unit == "epoch" and span.value.is_integer()
    return f"epoch {span.value:g}" if whole else units.format_every(span)


def _reached(span: Every, row: Row) -> bool:
    return reached(row, span)
