"""``above`` and ``below``: a metric beyond a limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import WithJsonSchema

from cardrunner.kill_rules.base import Limit, Observation, Span
from cardrunner.kill_rules.history import View
from cardrunner.kill_rules.quantities import QUANTITIES
from cardrunner.kill_rules.sided import Sided


class MetricLimit(Sided):
    """Fires when the newest value of a metric is beyond the limit; NaN is always beyond it."""

    metric: Annotated[str, WithJsonSchema({"type": "string", "not": {"enum": list(QUANTITIES)}})]
    """A validation metric or an alias of it, judged at validations; or a training metric, judged at log points."""
    above: Limit | None = None
    """Fire when the value is above this."""
    below: Limit | None = None
    """Fire when the value is below this."""
    after: Span | None = None
    """Look only once so much has been trained: what came earlier is no part of what the rule sees."""
    baseline: str | None = None
    """The baseline run this limit is meant against; a limit tighter than it is warned about."""

    @property
    def limit(self) -> float:
        """The stated limit, whichever side it is on."""
        return self.above if self.above is not None else self.below  # type: ignore[return-value]

    def baselines(self) -> Iterator[tuple[str, str]]:
        """The one that the limit is meant against."""
        yield from () if self.baseline is None else [("baseline", self.baseline)]

    def condition(self, limit: str = "") -> str:
        """For example ``val_stick_mae > 0.03``."""
        return f"{self.metric} {'>' if self.over else '<'} {limit or f'{self.limit:g}'}"

    def look(self, view: View) -> Observation:
        """The value and its distance to the limit."""
        return self.against(view.row, self.limit)
