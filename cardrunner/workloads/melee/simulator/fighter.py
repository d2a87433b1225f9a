"""The controller and the fighter's state in the built-in simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from cardrunner.workloads.melee.game.stage_table import (
    Platform,
    StageGeometry,
)
from cardrunner.workloads.melee.simulator.moves import (
    INTANGIBLE,
    MOVES,
    NEUTRAL_SPECIAL,
    NEUTRAL_SPECIAL_AIR,
    UP_SPECIAL,
    Move,
    attributes,
)
from cardrunner.workloads.melee.simulator.states import (
    DEAD,
    FALL,
    REBIRTH,
    REBIRTH_WAIT,
    WAIT,
)

TILT: Final = 0.2875
"""Sticks inside this radius are at rest."""
FLICK: Final = 0.66
"""A stick that crosses this is a flick: dash, tap jump, fast fall, smash."""
_SHIELD_TRIGGER: Final = 0.3


@dataclass(slots=True)
class Pad:
    """One frame of a controller: sticks -1..1, held buttons, and the buttons pressed on this frame."""

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


FULL_SHIELD: Final = 60.0
STOCKS: Final = 4
JUMPS: Final = 2


class Fighter:
    """State of one fighter, and the changes of state that several rules share.

    Attributes:
        age: frames since the action began.
        lock: duration of the action if it is not a constant of the action; 0 otherwise.
        stun: frames of hitstun or shield stun left.
        protection: frames of invincibility left after a respawn.
        surface: the surface that the fighter stands on or last stood on.
        touched: the ``ground`` column: the surface touched last.
        vx, vy: its own speed; ``knock_x``, ``knock_y``: the speed that a hit gave it.
        since_shield: frames since the shield button went down.
        ledge_free: frames before it can hold a ledge again.
    """

    __slots__ = (
        "action", "age", "attack", "attributes", "character", "combo", "facing", "fast_falling", "grounded",
        "hit_landed", "hitlag", "jumps", "knock_x", "knock_y", "l_cancel", "last_attack", "ledge_free", "lock", "pad",
        "percent", "protection", "shield", "since_shield", "stage", "stocks", "stun", "surface", "touched", "vx", "vy",
        "x", "y",
    )  # fmt: skip

    def __init__(self, character: int, stage: StageGeometry, *, x: float, facing: int) -> None:
        self.character, self.stage, self.attributes = character, stage, attributes(character)
        self.x, self.y, self.vx, self.vy, self.knock_x, self.knock_y = x, 0.0, 0.0, 0.0, 0.0, 0.0
        self.facing, self.grounded, self.surface, self.touched = facing, True, stage.main, stage.ground
        self.percent, self.shield, self.stocks, self.jumps = 0.0, FULL_SHIELD, STOCKS, JUMPS
        self.action, self.age, self.lock = WAIT, 0, 0
        self.hitlag, self.stun, self.protection, self.combo = 0, 0, 0, 0
        self.attack: Move | None = None
        self.hit_landed, self.fast_falling = False, False
        self.last_attack, self.l_cancel, self.since_shield, self.ledge_free = 0, 0, 99, 0
        self.pad = Pad()

    @property
    def hurtbox(self) -> int:
        """0 can be hit, 1 protected after a respawn, 2 intangible in an action."""
        window = INTANGIBLE.get(self.action)
        if self.action in DEAD or (window and window[0] <= self.age <= window[1]):
            return 2
        return 1 if self.protection > 0 or self.action in (REBIRTH, REBIRTH_WAIT) else 0

    @property
    def hitting(self) -> Move | None:
        """The move whose hitbox is out on this frame and has not landed yet."""
        move = self.attack
        return move if move and not self.hit_landed and move.first <= self.age <= move.last else None

    def enter(self, action: int, *, lock: int = 0) -> None:
        """Begin an action; `lock` is its duration if that is not a constant of the action."""
        self.action, self.age, self.lock = action, 0, lock
        self.attack, self.hit_landed = MOVES.get(action), False

    def end(self) -> None:
        """End the action: stand or fall."""
        self.enter(WAIT if self.grounded else FALL)

    def keep_doing(self, action: int) -> None:
        """Begin the action unless it is already going on."""
        if self.action != action:
            self.enter(action)

    def take_off(self, action: int) -> None:
        """Leave the ground or the ledge."""
        self.grounded, self.fast_falling = False, False
        self.jumps = min(self.jumps, JUMPS - 1)
        self.enter(action)

    def special(self, pad: Pad) -> None:
        """The B button: upward it carries the fighter up, once, otherwise it strikes."""
        if pad.y <= 0.5:
            self.enter(NEUTRAL_SPECIAL if self.grounded else NEUTRAL_SPECIAL_AIR)
            return
        self.vx, self.vy, self.fast_falling = pad.x * 1.3, 3.0 + 8 * self.attributes.gravity, False
        self.take_off(UP_SPECIAL)
        self.jumps = 0

    def stand_on(self, surface: Platform, *, x: float) -> None:
        """Stand on a surface, with all jumps restored."""
        self.x, self.y, self.vy = x, surface.y, 0.0
        self.grounded, self.fast_falling, self.jumps = True, False, JUMPS
        self.surface, self.touched = surface, surface.ground


def toward(value: float, target: float, step: float) -> float:
    """``value`` moved at most ``step`` toward ``target``."""
    return min(value + step, target) if value < target else max(value - step, target)
