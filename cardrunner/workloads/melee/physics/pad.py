"""A controller as the built-in simulator reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

TILT: Final = 0.2875
"""Sticks inside this radius are at rest."""
FLICK: Final = 0.66
"""A stick that newly passes this is a flick: dash, tap jump, fast fall, smash."""
_SHIELD_TRIGGER: Final = 0.3


@dataclass(slots=True)
class Pad:
    """One frame of a controller: sticks -1..1, held buttons, and what went down on this frame."""

    x: float = 0.0
    y: float = 0.0
    cx: float = 0.0
    cy: float = 0.0
    a: bool = False
    b: bool = False
    jump: bool = False
    z: bool = False
    shield: bool = False
    a_down: bool = False
    b_down: bool = False
    jump_down: bool = False
    z_down: bool = False
    shield_down: bool = False
    c_down: bool = False
    x_flick: bool = False
    y_flick: bool = False

    @classmethod
    def read(cls, values: Sequence[float], before: Pad) -> Self:
        """The pad of 13 controller values in file units, given the pad of the frame before."""
        x, y, cx, cy = (value * 2.0 - 1.0 for value in values[:4])
        trigger, a, b, jump_x, jump_y, z, left, right, _ = values[4:]
        pad = cls(x, y, cx, cy, a > 0.5, b > 0.5, jump_x > 0.5 or jump_y > 0.5, z > 0.5)
        pad.shield = trigger > _SHIELD_TRIGGER or left > 0.5 or right > 0.5
        pad.a_down, pad.b_down = pad.a and not before.a, pad.b and not before.b
        pad.jump_down, pad.z_down = pad.jump and not before.jump, pad.z and not before.z
        pad.shield_down = pad.shield and not before.shield
        pad.c_down = abs(cx) + abs(cy) > FLICK >= abs(before.cx) + abs(before.cy)
        pad.x_flick = abs(x) > FLICK and (abs(before.x) <= FLICK or x * before.x < 0)
        pad.y_flick = abs(y) > FLICK and (abs(before.y) <= FLICK or y * before.y < 0)
        return pad
