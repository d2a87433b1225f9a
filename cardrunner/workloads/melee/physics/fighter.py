"""One fighter of the built-in simulator: its state, in game units and frames (1/60 s).

``x`` grows to the right, ``y`` upward from the main ground; the position is that of the feet.
"""

from __future__ import annotations

from typing import Final

from cardrunner.workloads.melee.physics.moves import (
    INTANGIBLE,
    MOVES,
    NEUTRAL_SPECIAL,
    NEUTRAL_SPECIAL_AIR,
    UP_SPECIAL,
    Move,
    attributes,
)
from cardrunner.workloads.melee.physics.pad import (
    Pad,
)
from cardrunner.workloads.melee.physics.states import (
    DEAD,
    FALL,
    REBIRTH,
    REBIRTH_WAIT,
    WAIT,
)
from cardrunner.workloads.melee.stages import (
    Platform,
    StageGeometry,
)

FULL_SHIELD: Final = 60.0
STOCKS: Final = 4
JUMPS: Final = 2


class Fighter:
    """State of one fighter, and the changes of state that several rules share.

    Attributes:
        age: frames since the action began.
        lock: how long the action lasts where that is not a constant of the action; 0 otherwise.
        stun: frames of hitstun or shield stun left.
        protection: frames of invincibility left after a respawn.
        surface: what the fighter stands on, or stood on last.
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
        """Begin an action; `lock` is how long it lasts where that is not a constant of the action."""
        self.action, self.age, self.lock = action, 0, lock
        self.attack, self.hit_landed = MOVES.get(action), False

    def end(self) -> None:
        """Stand or fall: the action is over."""
        self.enter(WAIT if self.grounded else FALL)

    def keep_doing(self, action: int) -> None:
        """Begin the action unless it goes on already."""
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
        """Be on a surface, with every jump back."""
        self.x, self.y, self.vy = x, surface.y, 0.0
        self.grounded, self.fast_falling, self.jumps = True, False, JUMPS
        self.surface, self.touched = surface, surface.ground


def toward(value: float, target: float, step: float) -> float:
    """``value`` moved at most ``step`` toward ``target``."""
    return min(value + step, target) if value < target else max(value - step, target)
