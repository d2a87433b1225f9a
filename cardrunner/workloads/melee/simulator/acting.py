"""Actions in the air and on the ledge."""

from __future__ import annotations

import math
from typing import Final

from cardrunner.workloads.melee.game.names import ACTION_IDS as ID
from cardrunner.workloads.melee.simulator.fighter import (
    FLICK,
    FULL_SHIELD,
    JUMPS,
    TILT,
    Fighter,
    Pad,
)
from cardrunner.workloads.melee.simulator.ground import act_on_ground, dash
from cardrunner.workloads.melee.simulator.moves import (
    LOCKED,
)
from cardrunner.workloads.melee.simulator.states import (
    CLIFF_CLIMB,
    DAMAGE_FALL,
    DEAD,
    ESCAPE_AIR,
    FALL,
    FALL_AERIAL,
    FREE_IN_AIR,
    GUARD,
    GUARD_SET_OFF,
    HELPLESS,
    JUMPING,
    ON_LEDGE,
    REBIRTH,
    REBIRTH_WAIT,
    SHIELDS,
    SLEEP,
    TUMBLES,
    TURN,
    WAIT,
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


DEAD_FRAMES: Final = 60
REBIRTH_FRAMES: Final = 60
REBIRTH_WAIT_FRAMES: Final = 120
REBIRTH_HEIGHT: Final = 50.0
SPAWN_PROTECTION: Final = 120
_SHIELD_REGROWTH = 0.07


def act(fighter: Fighter, pad: Pad) -> None:
    """Take one frame of input: count timers, end what is over, begin what the player asks for."""
    fighter.pad, fighter.l_cancel = pad, 0
    fighter.since_shield = 0 if pad.shield_down else fighter.since_shield + 1
    fighter.protection, fighter.ledge_free = max(fighter.protection - 1, 0), max(fighter.ledge_free - 1, 0)
    fighter.age += 1
    if not fighter.grounded or fighter.action not in SHIELDS:
        fighter.shield = min(FULL_SHIELD, fighter.shield + _SHIELD_REGROWTH)
    if fighter.stun > 0:
        _recover(fighter)
    elif fighter.action in DEAD or fighter.action in (REBIRTH, REBIRTH_WAIT):
        _come_back(fighter, pad)
    elif fighter.action in LOCKED or fighter.lock:
        _finish_locked(fighter)
    elif fighter.grounded:
        act_on_ground(fighter, pad)
    elif fighter.action in ON_LEDGE:
        act_on_ledge(fighter, pad)
    else:
        act_in_air(fighter, pad)


def _recover(fighter: Fighter) -> None:
    fighter.stun -= 1
    if fighter.stun == 0:
        if fighter.action == GUARD_SET_OFF:
            fighter.enter(GUARD)
        elif fighter.action in TUMBLES:
            fighter.enter(DAMAGE_FALL)
        else:
            fighter.end()


def _finish_locked(fighter: Fighter) -> None:
    frames, after = (fighter.lock, WAIT) if fighter.lock else LOCKED[fighter.action]
    if fighter.age < frames:
        return
    if fighter.action == CLIFF_CLIMB:
        edge = math.copysign(fighter.stage.half_width, fighter.x)
        fighter.stand_on(fighter.stage.main, x=edge - math.copysign(8.0, edge))
    if fighter.action == TURN and fighter.pad.x * fighter.facing > FLICK:
        dash(fighter)
    elif after == WAIT:
        fighter.end()
    else:
        fighter.enter(after)


def _come_back(fighter: Fighter, pad: Pad) -> None:
    if fighter.action == SLEEP:
        return
    if fighter.action in DEAD and fighter.age >= DEAD_FRAMES:
        _respawn(fighter)
    elif fighter.action == REBIRTH and fighter.age >= REBIRTH_FRAMES:
        fighter.enter(REBIRTH_WAIT)
    elif fighter.action == REBIRTH_WAIT:
        moved = abs(pad.x) > TILT or abs(pad.y) > TILT or pad.jump or pad.a or pad.b or pad.shield
        if moved or fighter.age >= REBIRTH_WAIT_FRAMES:
            fighter.protection = SPAWN_PROTECTION
            fighter.enter(FALL)


def _respawn(fighter: Fighter) -> None:
    if fighter.stocks == 0:
        fighter.enter(SLEEP)
        return
    fighter.x, fighter.y, fighter.vx, fighter.vy, fighter.knock_x, fighter.knock_y = (
        0.0,
        REBIRTH_HEIGHT,
        0.0,
        0.0,
        0.0,
        0.0,
    )
    fighter.percent, fighter.shield, fighter.jumps, fighter.facing = 0.0, FULL_SHIELD, JUMPS, 1
    fighter.enter(REBIRTH)
