"""Whether metrics that were measured again are those that were recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping


def largest_difference(recorded: Mapping[str, float], measured: Mapping[str, float]) -> float:
    """The largest difference, relative to values above 1; infinite if only one of two values is finite."""
    return max((difference(value, measured[name]) for name, value in recorded.items()), default=0.0)


def difference(before: float, after: float) -> float:
    """That of two values, likewise."""
    if math.isnan(before) and math.isnan(after):
        return 0.0  # a metric without examples, both times
    if before == after:
        return 0.0
    found = abs(before - after) / max(1.0, abs(before))
    return found if math.isfinite(found) else math.inf
