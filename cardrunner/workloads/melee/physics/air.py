"""What a player can make a fighter do in the air and on the ledge."""

from __future__ import annotations

import math

from cardrunner.workloads.melee.names import ACTION_IDS as ID
from cardrunner.workloads.melee.physics.fighter import (
    Fighter,
)
from cardrunner.workloads.melee.physics.pad import (
    FLICK,
    TILT,
    Pad,
)
from cardrunner.workloads.melee.physics.states import (
    CLIFF_CLIMB,
    ESCAPE_AIR,
    FALL,
    FALL_AERIAL,
    FREE_IN_AIR,
    HELPLESS,
    JUMPING,
)

_AIR_DODGE_SPEED = 3.1
_LEDGE_PATIENCE, _LEDGE_PAUSE = 200, 30


def act_in_air(fighter: Fighter, pad: Pad) -> None:
    """Jump again, strike, dodge or fall fast."""
    if fighter.action in HELPLESS:
        return
    if pad.jump_down and fighter.jumps > 0:
        fighter.jumps -= 1
        fighter.vy, fighter.vx, fighter.fast_falling = (
            fighter.attributes.double_jump_speed,
            pad.x * fighter.attributes.air_speed,
            False,
        )
        fighter.enter(ID["JUMP_AERIAL_B"] if pad.x * fighter.facing < -TILT else ID["JUMP_AERIAL_F"])
    elif pad.b_down:
        fighter.special(pad)
    elif pad.a_down or pad.c_down or pad.z_down:
        x, y = (pad.cx, pad.cy) if pad.c_down else (pad.x, pad.y)
        fighter.enter(_aerial(x * fighter.facing, y))
    elif pad.shield_down:
        length = max(math.hypot(pad.x, pad.y), 1.0)
        fighter.vx, fighter.vy = (
            _AIR_DODGE_SPEED * axis / length if abs(axis) > TILT else 0.0 for axis in (pad.x, pad.y)
        )
        fighter.enter(ESCAPE_AIR)
    elif fighter.action in JUMPING and fighter.vy < 0:
        fighter.enter(FALL if fighter.jumps else FALL_AERIAL)
    if pad.y_flick and pad.y < 0 and fighter.vy <= 0 and fighter.action in FREE_IN_AIR:
        fighter.fast_falling = True


def _aerial(forward: float, up: float) -> int:
    if max(abs(forward), abs(up)) <= TILT:
        return ID["ATTACK_AIR_N"]
    if abs(up) > abs(forward):
        return ID["ATTACK_AIR_HI"] if up > 0 else ID["ATTACK_AIR_LW"]
    return ID["ATTACK_AIR_F"] if forward > 0 else ID["ATTACK_AIR_B"]


def act_on_ledge(fighter: Fighter, pad: Pad) -> None:
    """Jump, climb or let go."""
    inward = -math.copysign(1.0, fighter.x)
    if pad.jump_down or fighter.age > _LEDGE_PATIENCE:
        fighter.ledge_free, fighter.vy, fighter.vx = _LEDGE_PAUSE, fighter.attributes.jump_speed, inward * 0.5
        fighter.take_off(ID["JUMP_F"])
    elif pad.x * inward > TILT or pad.y > TILT:
        fighter.enter(CLIFF_CLIMB)
    elif pad.x * inward < -FLICK or pad.y < -FLICK:
        fighter.ledge_free = _LEDGE_PAUSE
        fighter.take_off(FALL)
