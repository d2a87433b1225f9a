"""``rises_by``: a metric that is higher than at the validation before by more than a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from cardrunner.kill_rules import Observation, Rule, View
from cardrunner.specs import Direction, Remark


class RisesBy(Rule):
    """Fires when a metric rises by more than N from one validation to the next."""

    example: ClassVar[Mapping[str, Any]] = {"metric": "val_loss/total", "rises_by": 0.1, "action": "stop"}

    metric: str
    """A validation metric that should fall."""
    rises_by: Annotated[float, Field(gt=0)]
    """How much higher than at the validation before it may be."""

    @property
    def key(self) -> str:
        """Its own."""
        return "rises_by"

    @property
    def needs_before(self) -> int:
        """The validation before."""
        return 1

    def stated_differences(self) -> Mapping[str, float]:
        """N."""
        return {"rises_by": self.rises_by}

    def check_direction(self, better: Direction) -> Iterator[Remark]:
        """A metric that should rise may do so."""
        if better == "max":
            yield Remark(loc=("rises_by",), message=f"{self.metric} should rise; watch a metric that should fall")

    def condition(self, limit: str = "") -> str:
        """For example ``val_loss/total rises by more than 0.1``."""
        return f"{self.metric} rises by more than {limit or f'{self.rises_by:g}'}"

    def observe(self, view: View) -> Observation | None:
        """The value against the one before."""
        if view.at == view.first:
            return None
        value, before = (view.rows[at].metrics[self.metric] for at in (view.at, view.at - 1))
        limit = before + self.rises_by
        return Observation(
            row=view.row,
            metric=self.metric,
            value=value,
            limit=limit,
            room=limit - value,
            fires=not value <= limit,
            message=f"{self.metric} is {value:.6g} {view.row.place}; before it was {before:.6g}",
        )

    def plot_levels(self, seen: Sequence[Observation]) -> Sequence[float]:
        """The highest value that would have been accepted last."""
        return [found.limit for found in seen[-1:] if found.limit is not None]
