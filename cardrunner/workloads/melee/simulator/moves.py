"""Numbers of the built-in simulator: character attributes and moves, close to the real game's but simplified.

Lengths are game units, times are frames (1/60 s), angles are degrees above the direction the attacker faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardrunner.workloads.melee.game.names import ACTION_IDS as ID


@dataclass(frozen=True, slots=True)
class Attributes:
    """How a character moves; speeds are units per frame."""

    gravity: float
    fall_speed: float
    fast_fall_speed: float
    walk_speed: float
    dash_speed: float
    run_speed: float
    friction: float
    air_speed: float
    air_acceleration: float
    jump_speed: float
    short_hop_speed: float
    double_jump_speed: float
    jump_squat: int
    weight: float


_MIDDLING: Final = Attributes(0.095, 1.7, 2.3, 1.1, 1.5, 1.5, 0.06, 0.86, 0.045, 2.3, 1.4, 2.2, 4, 100)

_KNOWN: Final = {
    1: Attributes(0.23, 2.8, 3.4, 1.6, 1.9, 2.2, 0.08, 0.83, 0.08, 3.68, 2.1, 4.2, 3, 75),
    2: Attributes(0.13, 2.9, 3.5, 0.85, 2.0, 2.3, 0.08, 1.12, 0.06, 3.1, 1.9, 2.8, 4, 104),
    7: Attributes(0.12, 2.13, 3.0, 1.2, 1.7, 1.8, 0.08, 0.8, 0.06, 2.8, 2.1, 2.8, 3, 90),
    9: Attributes(0.08, 1.5, 2.0, 0.85, 1.4, 1.3, 0.1, 1.1, 0.06, 2.5, 1.5, 2.2, 5, 90),
    18: Attributes(0.085, 2.2, 2.5, 1.6, 1.5, 1.8, 0.06, 0.9, 0.05, 2.4, 1.5, 2.1, 4, 87),
    22: Attributes(0.17, 3.1, 3.5, 1.4, 1.9, 1.5, 0.08, 0.83, 0.07, 4.1, 1.9, 3.85, 5, 80),
}


def attributes(character: int) -> Attributes:
    """Attributes of an internal character id; average ones for a character without its own."""
    return _KNOWN.get(character, _MIDDLING)


@dataclass(frozen=True, slots=True)
class Move:
    """An attack.

    Attributes:
        id: its value in the ``last_attack_landed`` column.
        duration: frames until the fighter can act again.
        first, last: the frames on which it hits.
        reach, height: centre of the hitbox relative to the feet, ``reach`` along the facing direction.
        base, growth: of the knockback.
        landing: landing lag of an aerial.
        unblockable: a shield does not block it (grabs).
    """

    action: int
    id: int
    duration: int
    first: int
    last: int
    reach: float
    height: float
    radius: float
    damage: float
    angle: float
    base: float
    growth: float
    landing: int = 0
    unblockable: bool = False


UP_SPECIAL: Final = 353
NEUTRAL_SPECIAL: Final = 341
NEUTRAL_SPECIAL_AIR: Final = 344

MOVES: Final = {
    move.action: move
    for move in (
        Move(ID["ATTACK_11"], 2, 17, 2, 4, 8, 7, 4, 4, 70, 10, 60),
        Move(ID["ATTACK_DASH"], 6, 36, 4, 14, 7, 6, 5, 7, 72, 35, 60),
        Move(ID["ATTACK_S3_S"], 7, 27, 5, 8, 11, 6, 4, 9, 40, 10, 90),
        Move(ID["ATTACK_HI3"], 8, 24, 5, 11, 4, 13, 6, 10, 95, 18, 120),
        Move(ID["ATTACK_LW3"], 9, 28, 7, 9, 11, 2, 5, 10, 80, 25, 105),
        Move(ID["ATTACK_S4_S"], 10, 40, 12, 18, 12, 7, 6, 15, 40, 25, 95),
        Move(ID["ATTACK_HI4"], 11, 42, 7, 14, 4, 16, 7, 16, 85, 30, 102),
        Move(ID["ATTACK_LW4"], 12, 46, 6, 11, 9, 3, 6, 14, 30, 25, 80),
        Move(ID["ATTACK_AIR_N"], 13, 42, 4, 24, 4, 6, 7, 11, 50, 15, 95, landing=15),
        Move(ID["ATTACK_AIR_F"], 14, 40, 6, 16, 10, 7, 6, 10, 45, 20, 90, landing=20),
        Move(ID["ATTACK_AIR_B"], 15, 36, 5, 10, -10, 7, 6, 13, 40, 15, 100, landing=18),
        Move(ID["ATTACK_AIR_HI"], 16, 38, 6, 12, 3, 14, 7, 12, 85, 20, 100, landing=18),
        Move(ID["ATTACK_AIR_LW"], 17, 44, 5, 20, 3, -1, 6, 11, 290, 10, 90, landing=18),
        Move(NEUTRAL_SPECIAL, 18, 38, 12, 20, 14, 7, 4, 4, 60, 15, 30),
        Move(NEUTRAL_SPECIAL_AIR, 18, 38, 12, 20, 14, 7, 4, 4, 60, 15, 30, landing=4),
        Move(UP_SPECIAL, 20, 34, 6, 24, 3, 8, 6, 10, 75, 40, 70, landing=30),
        Move(ID["CATCH"], 53, 30, 7, 8, 9, 8, 4, 8, 55, 60, 50, unblockable=True),
    )
}
"""Every attack by its action state."""

AERIAL_LANDINGS: Final = {
    ID[f"ATTACK_AIR_{direction}"]: ID[f"LANDING_AIR_{direction}"] for direction in ("N", "F", "B", "HI", "LW")
}

WAITING: Final = ID["WAIT"]
LANDING: Final = ID["LANDING"]

LOCKED: Final = {
    ID["TURN"]: (4, WAITING),
    ID["RUN_BRAKE"]: (14, WAITING),
    ID["SQUAT_RV"]: (4, WAITING),
    LANDING: (4, WAITING),
    ID["LANDING_FALL_SPECIAL"]: (12, WAITING),
    ID["GUARD_OFF"]: (14, WAITING),
    ID["ESCAPE"]: (24, WAITING),
    ID["ESCAPE_F"]: (32, WAITING),
    ID["ESCAPE_B"]: (32, WAITING),
    ID["ESCAPE_AIR"]: (40, ID["FALL_SPECIAL"]),
    ID["PASSIVE"]: (26, WAITING),
    ID["DOWN_BOUND_U"]: (26, ID["DOWN_WAIT_U"]),
    ID["DOWN_STAND_U"]: (30, WAITING),
    ID["FURA_FURA"]: (150, WAITING),
    ID["CLIFF_CATCH"]: (7, ID["CLIFF_WAIT"]),
    ID["CLIFF_CLIMB_QUICK"]: (32, WAITING),
    UP_SPECIAL: (MOVES[UP_SPECIAL].duration, ID["FALL_SPECIAL"]),
    **{move.action: (move.duration, WAITING) for move in MOVES.values() if move.action != UP_SPECIAL},
}
"""Actions that end by themselves: (frames, the action after). ``WAIT`` becomes ``FALL`` in the air."""

INTANGIBLE: Final = {
    ID["ESCAPE"]: (2, 16),
    ID["ESCAPE_F"]: (4, 20),
    ID["ESCAPE_B"]: (4, 20),
    ID["ESCAPE_AIR"]: (4, 30),
    ID["PASSIVE"]: (1, 20),
    ID["CLIFF_CATCH"]: (0, 8),
    ID["CLIFF_CLIMB_QUICK"]: (0, 30),
    ID["DOWN_STAND_U"]: (1, 22),
}
"""Frames (first, last) of an action on which the fighter is intangible."""
