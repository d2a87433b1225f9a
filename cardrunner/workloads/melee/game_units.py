"""From game units to the scaled columns of a file, and back."""

from __future__ import annotations

from typing import Final

from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.layout import CONTINUOUS

_SCALE_FIELDS: Final = {
    "percent": "percent_scale",
    "x": "xy_scale",
    "y": "xy_scale",
    "shield": "shield_scale",
    "hitlag": "hitlag_scale",
    "stocks": "stocks_scale",
    "combo_count": "combo_count_scale",
}


def scales_of(encoding: EncodingConfig) -> dict[str, float]:
    """Factor from game units to file units of each continuous column."""
    return {name: float(getattr(encoding, _SCALE_FIELDS.get(name, "velocity_scale"))) for name in CONTINUOUS}
