"""What every kill rule shares: its scope, its action, and the verdict it gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from cardrunner import units

Action = Literal["warn", "investigate", "stop", "restart"]


def _epochs(value: Any) -> Any:
    """Read ``2 epochs`` as 2; anything else is refused by the unit's own sentence."""
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError("write a number of epochs, such as 1 epoch or 2 epochs")
    every = units.parse_every(value)
    if every.unit != "epoch":
        raise ValueError("is not a number of epochs; write 1 epoch or 2 epochs")
    return int(every.value)


def _number(value: Any) -> Any:
    return units.parse_percent(value) if isinstance(value, str) and value.endswith("%") else value


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


class Rule(BaseModel):
    """A kill threshold of a card."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True, allow_inf_nan=False
    )

    action: Action
    """What happens when it fires: warn, investigate (save, stop paying, ask), stop, or restart with `set`."""
    why: str | None = None
    """The reason reviewers agreed on."""
    set: dict[str, Any] | None = None
    """For `restart`: the card fields to change, by path, such as training.batch_size: 512."""

    def describe(self) -> str:
        """The condition as a reviewer would read it."""
        raise NotImplementedError

    def verdict(self, history: Sequence[Validation]) -> Verdict | None:
        """Judge the validations so far, oldest first; None means go on."""
        raise NotImplementedError

    def observe(self, history: Sequence[Validation]) -> Observation | None:  # noqa: ARG002
        """What the rule looks at after the newest validation, for people; None where it has nothing to look at."""
        return None


@dataclass(frozen=True, kw_only=True)
class Validation:
    """One validation as rules see it: `epoch` counts from 1, `step` is the global step."""

    epoch: int
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a rule saw after a validation: `value` against `limit`, in the unit of `metric`; without one, in `unit`."""

    epoch: int
    value: float
    limit: float
    room: float
    """How far the value may still move before the rule fires."""
    metric: str | None = None
    unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why a rule fired. `value` is what was seen, `limit` what was agreed."""

    rule: int
    action: Action
    condition: str
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
