"""One player of one frame in game units, decoded from the scaled columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.layout import (
    CONTINUOUS,
    CONTROLLER,
    PLAYER_FLOATS,
    PLAYER_INTS,
    PlayerIndex,
    float_slice,
    int_slice,
)
from cardrunner.workloads.melee.world import Frame

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


@dataclass(frozen=True)
class PlayerState:
    """A player as people talk of it: game units, frames, ids."""

    percent: float
    x: float
    y: float
    shield: float
    speed_air_x: float
    speed_y: float
    speed_ground_x: float
    speed_attack_x: float
    speed_attack_y: float
    hitlag: float
    stocks: int
    combo_count: float
    facing_right: bool
    invulnerable: bool
    on_ground: bool
    action: int
    jumps_left: int
    character: int
    controller: dict[str, float]

    @property
    def speed(self) -> float:
        """Length of the player's own movement per frame, without knockback."""
        across = self.speed_ground_x if self.on_ground else self.speed_air_x
        return math.hypot(across, 0.0 if self.on_ground else self.speed_y)


def decode(frame: Frame, player: PlayerIndex, encoding: EncodingConfig) -> PlayerState:
    """A player of a frame of finite values."""
    floats = dict(zip(PLAYER_FLOATS, frame.floats[float_slice(player)].tolist(), strict=True))
    ints = dict(zip(PLAYER_INTS, frame.ints[int_slice(player)].tolist(), strict=True))
    values = {name: floats[name] / scale for name, scale in scales_of(encoding).items()}
    return PlayerState(
        **{**values, "stocks": round(values["stocks"])},
        facing_right=floats["facing"] > 0.5,
        invulnerable=floats["invulnerable"] > 0.5,
        on_ground=floats["on_ground"] > 0.5,
        action=ints["action"],
        jumps_left=ints["jumps_left"],
        character=ints["character"],
        controller={name: floats[name] for name in CONTROLLER},
    )
