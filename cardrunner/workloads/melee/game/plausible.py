"""From game units to the scaled columns of a file, and back."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cardrunner.workloads.melee.encoding.layout import (
    CONTINUOUS,
    FLOATS_PER_PLAYER,
    PLAYER_FLOATS,
    PLAYERS,
    STAGE_COLUMN,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.stage_table import StageGeometry
from cardrunner.workloads.melee.game.world import Floats, Frame, all_finite

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


ROOM: Final = 60.0
"""Game units beyond a blast zone in which a fighter may still be shown."""
SLACK: Final = 0.1
"""Scaled units that a value may exceed its limits by without being counted: 2 units of length, a frame of hitlag,
10 percent. Models often hover around the limits."""
LARGEST_SPEED: Final = 40.0
"""Game units per frame; well above the hardest hits."""
_SPEEDS = [column for column, name in enumerate(PLAYER_FLOATS) if name.startswith("speed_")]
_MANY = 999.0


class Repaired(NamedTuple):
    """A possible frame, and what was repaired."""

    frame: Frame
    velocity_clamped: tuple[bool, bool] = (False, False)
    """The players whose speeds were cut."""
    finite: bool = True
    """Every value was finite."""
    inside: bool = True
    """Every value was within its limits, up to `SLACK`."""


class FrameLimits:
    """The possible values on one stage, in the file's scaled units."""

    def __init__(self, stage: StageGeometry, encoding: EncodingConfig) -> None:
        self._low, self._high = float_limits(stage, encoding)
        self._largest = np.array(encoding.vocabularies, dtype=np.int64) - 1
        self._smallest = np.zeros_like(self._largest)

    def repair(self, frame: Frame, before: Frame) -> Repaired:
        """The nearest possible frame; non-finite values and the stage keep their previous values."""
        floats, finite = frame.floats, all_finite(frame.floats)
        if not finite:
            floats = np.where(np.isfinite(floats), floats, before.floats)
        possible: Floats = np.minimum(np.maximum(floats, self._low), self._high)
        ints = np.minimum(np.maximum(frame.ints, self._smallest), self._largest)
        ints[STAGE_COLUMN] = before.ints[STAGE_COLUMN]
        if finite and float(np.abs(possible - floats).max()) <= SLACK:
            return Repaired(Frame(possible, ints))
        cut = (possible != frame.floats).reshape(len(PLAYERS), FLOATS_PER_PLAYER)[:, _SPEEDS].any(axis=1)
        return Repaired(Frame(possible, ints), (bool(cut[0]), bool(cut[1])), finite, inside=False)


def float_limits(stage: StageGeometry, encoding: EncodingConfig) -> tuple[Floats, Floats]:
    """Lowest and highest possible value of every float column, float32 (56,) each, in the file's scaled units."""
    low, high = np.concatenate([_player_limits(stage, encoding)] * len(PLAYERS)).T.astype(np.float32)
    return low, high


def _player_limits(stage: StageGeometry, encoding: EncodingConfig) -> NDArray[np.float64]:
    """Lowest and highest value of a player's float columns: (28, 2), scaled."""
    blast, speed = stage.blast, (-LARGEST_SPEED, LARGEST_SPEED)
    game_units = {
        "percent": (0.0, 999.0),
        "x": (blast.left - ROOM, blast.right + ROOM),
        "y": (blast.bottom - ROOM, blast.top + ROOM),
        "shield": (0.0, 60.0),
        "hitlag": (0.0, _MANY),
        "stocks": (0.0, 4.0),
        "combo_count": (0.0, _MANY),
    }
    scales = scales_of(encoding)
    scaled = {name: tuple(side * scales[name] for side in game_units.get(name, speed)) for name in CONTINUOUS}
    return np.array([scaled.get(name, (0.0, 1.0)) for name in PLAYER_FLOATS])
