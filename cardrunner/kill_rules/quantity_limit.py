"""``above`` and ``below`` on a quantity of the run: time, money, throughput, waiting for data."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ValidationInfo, WithJsonSchema, field_validator

from cardrunner.kill_rules.base import Observation
from cardrunner.kill_rules.history import View
from cardrunner.kill_rules.quantities import QUANTITIES, number_text
from cardrunner.kill_rules.sided import Sided

Amount = Annotated[
    float,
    WithJsonSchema({"type": ["number", "string"], "examples": [quantity.example for quantity in QUANTITIES.values()]}),
]


class QuantityLimit(Sided):
    """Fires when a quantity of the run is beyond the limit, which is written in the quantity's own unit."""

    metric: Annotated[str, WithJsonSchema({"type": "string", "enum": list(QUANTITIES)})]
    """What the run measures of itself."""
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
        """It is about the time and money that going on takes."""
        return True

    @property
    def limit(self) -> float:
        """The stated limit, whichever side it is on."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]

    def condition(self, limit: str = "") -> str:
        """For example ``epoch_time > 45 min``."""
        return f"{self.metric} {'>' if self.over else '<'} {limit or number_text(self.metric)(self.limit)}"

    def look(self, view: View) -> Observation:
        """The quantity and its distance to the limit."""
        return self.against(view.row, self.limit)
