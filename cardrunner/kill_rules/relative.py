"""``relative_to``: a metric against the best so far, or against the value of an earlier run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import GetPydanticSchema, WithJsonSchema
from pydantic_core import core_schema

from cardrunner.common import units
from cardrunner.kill_rules.base import Observation, is_finite
from cardrunner.kill_rules.history import View
from cardrunner.kill_rules.limits import Sided
from cardrunner.kill_rules.quantities import QUANTITIES, number_text
from cardrunner.specs import Remark

BEST = "best"
_HOW = "write a factor such as 1.1x, or a difference such as 0.02"


@dataclass(frozen=True)
class Shift:
    """The distance of a limit from a reference: a factor or a difference."""

    factor: float = 1.0
    difference: float = 0.0

    def limit(self, reference: float) -> float:
        """The limit. A factor moves a negative reference the same way as a positive one: 1.1x makes it 10 % larger."""
        factor = self.factor if reference >= 0 else 2 - self.factor
        return factor * reference + self.difference

    def describe(self, reference: str) -> str:
        """``1.1x the best so far``, ``the best so far + 0.02``."""
        if self.factor != 1:
            return f"{self.factor:g}x {reference}"
        if self.difference == 0:
            return reference
        return f"{reference} {'-' if self.difference < 0 else '+'} {abs(self.difference):g}"


def _shift(value: Any) -> Shift:
    if isinstance(value, str) and value.endswith("x"):
        return Shift(factor=units.parse_factor(value))
    if isinstance(value, str) and value.endswith("%"):
        raise ValueError(f"a percentage is ambiguous here; {_HOW}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(_HOW)
    return Shift(difference=float(value))


Shifted = Annotated[
    Shift,
    GetPydanticSchema(
        lambda _type, _handler: core_schema.no_info_plain_validator_function(
            _shift, serialization=core_schema.plain_serializer_function_ser_schema(asdict)
        )
    ),
    WithJsonSchema({"type": ["number", "string"], "pattern": units.FACTOR_PATTERN, "examples": ["1.1x", -0.02]}),
]


class RelativeLimit(Sided):
    """Fires when the newest value is beyond the reference by a factor or a difference.

    The best so far is the smallest earlier value for `above`, the largest for `below`; until there is one, only NaN
    fires.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "metric": "val_loss/total",
        "above": "1.5x",
        "relative_to": "best",
        "action": "investigate",
    }

    relative_to: str
    """What it is compared with: best for the best value so far, or the name of a baseline."""
    above: Shifted | None = None
    """Fire when the value is above this many times the reference (1.1x), or above it by a difference (0.02)."""
    below: Shifted | None = None
    """Fire when the value is below this many times the reference (0.9x), or below it by a difference (-0.02)."""

    @property
    def moot_when_trained(self) -> bool:
        """True if it is about the pace of the run."""
        return self.metric in QUANTITIES

    @property
    def shift(self) -> Shift:
        """The value of `above` or `below`."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]

    def baselines(self) -> Iterator[tuple[str, str]]:
        """The baseline that the metric is compared with, unless that is the best so far."""
        yield from () if self.relative_to == BEST else [("relative_to", self.relative_to)]

    @property
    def needs_before(self) -> int:
        """One row for the best so far, else zero."""
        return 1 if self.relative_to == BEST else 0

    def stated_differences(self) -> Mapping[str, float]:
        """The distance of the limit from the reference, unless that is a factor."""
        return {self.side: self.shift.difference} if self.shift.difference else {}

    def check_baselines(self, reached: Mapping[str, float | None]) -> Iterator[Remark]:
        """Faults: a limit on the better side of the best so far, or a baseline called best."""
        if self.relative_to != BEST:
            return
        if BEST in reached:
            message = "is the best value so far, and a baseline is called best too; rename the baseline"
            yield Remark(loc=("relative_to",), message=message)
        limit = self.shift.limit(1.0)
        if limit < 1.0 if self.over else limit > 1.0:
            worse = "1.1x or 0.02" if self.over else "0.9x or -0.02"
            yield Remark(loc=(self.side,), message=f"fires even on a new best; write something like {worse}")

    def condition(self, limit: str = "") -> str:  # noqa: ARG002
        """For example ``val_loss/total > 1.1x the best so far``."""
        reference = "the best so far" if self.relative_to == BEST else self.relative_to
        return f"{self.metric} {'>' if self.over else '<'} {self.shift.describe(reference)}"

    def observe(self, view: View) -> Observation | None:
        """The value against the reference."""
        reference = self._reference(view)
        if reference is None:  # no reference yet: only NaN fires
            return None if is_finite(view.row.metrics[self.metric]) else self.against(view.row, math.nan)
        whose = "the best before" if self.relative_to == BEST else self.relative_to
        note = f"; {whose} has {number_text(self.metric)(reference)}"
        return self.against(view.row, self.shift.limit(reference), note=note)

    def _reference(self, view: View) -> float | None:
        if self.relative_to != BEST:
            return view.watched.baselines.get(self.relative_to, {}).get(self.metric)
        return view.watched.best(self.metric, view.first, view.at, largest=not self.over)
