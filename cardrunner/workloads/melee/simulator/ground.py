"""Actions on the ground."""

from __future__ import annotations

import math

from cardrunner.workloads.melee.game.names import ACTION_IDS as ID
from cardrunner.workloads.melee.simulator.fighter import (
    FLICK,
    TILT,
    Fighter,
    Pad,
    toward,
)
from cardrunner.workloads.melee.simulator.states import (
    DASH,
    DOWN_STAND,
    DOWN_WAIT,
    ESCAPE,
    ESCAPE_B,
    ESCAPE_F,
    GUARD,
    GUARD_OFF,
    GUARD_ON,
    KNEE_BEND,
    PASS,
    RUN,
    RUN_BRAKE,
    SHIELDS,
    SQUAT_RV,
    SQUAT_WAIT,
    TURN,
    WAIT,
    WALK_FAST,
    WALK_MIDDLE,
    WALK_SLOW,
)

_ROLL_SPEED = 1.4
_SHIELD_COST = 0.28
_SHIELD_AFTER_BREAK = 30.0
_LYING = 40


def act_on_ground(fighter: Fighter, pad: Pad) -> None:
    """Jump, strike, shield, drop through, walk or run."""
    if fighter.action == KNEE_BEND:
        if fighter.age >= fighter.attributes.jump_squat:
            _leave_ground(fighter, pad)
    elif fighter.action == DOWN_WAIT:
        if fighter.age > _LYING or pad.jump or pad.a or abs(pad.x) > TILT or pad.y > TILT:
            fighter.enter(DOWN_STAND)
    elif fighter.action in SHIELDS:
        _act_in_shield(fighter, pad)
    elif pad.jump_down or (pad.y_flick and pad.y > 0):
        fighter.enter(KNEE_BEND)
    elif pad.a_down or pad.b_down or pad.c_down or pad.z_down:
        _strike_on_ground(fighter, pad)
    elif pad.shield:
        fighter.enter(GUARD_ON)
    elif pad.y_flick and pad.y < 0 and fighter.surface is not fighter.stage.main:
        _drop_through(fighter)
    else:
        _walk(fighter, pad)


def _act_in_shield(fighter: Fighter, pad: Pad) -> None:
    fighter.shield -= _SHIELD_COST
    if fighter.shield <= 0:
        fighter.shield = _SHIELD_AFTER_BREAK
        fighter.enter(ID["FURA_FURA"])
    elif pad.jump_down or (pad.y_flick and pad.y > 0):
        fighter.enter(KNEE_BEND)
    elif pad.a_down or pad.z_down:
        fighter.enter(ID["CATCH"])
    elif pad.x_flick:
        fighter.enter(ESCAPE_F if pad.x * fighter.facing > 0 else ESCAPE_B)
        fighter.vx = math.copysign(_ROLL_SPEED, pad.x)
    elif pad.y_flick:
        fighter.enter(ESCAPE)
    elif not pad.shield:
        fighter.enter(GUARD_OFF)
    elif fighter.action == GUARD_ON and fighter.age >= 8:
        fighter.enter(GUARD)


def _strike_on_ground(fighter: Fighter, pad: Pad) -> None:
    x, y = (pad.cx, pad.cy) if pad.c_down else (pad.x, pad.y)
    smash = pad.c_down or (pad.x_flick and not pad.b_down)
    sideways = abs(x) > TILT and abs(x) >= abs(y)
    if sideways and fighter.action not in (DASH, RUN):
        fighter.facing = 1 if x > 0 else -1
    if pad.b_down:
        fighter.special(pad)
    elif pad.z_down:
        fighter.enter(ID["CATCH"])
    elif fighter.action in (DASH, RUN) and not pad.c_down:
        fighter.enter(ID["ATTACK_DASH"])
    elif sideways:
        fighter.enter(ID["ATTACK_S4_S"] if smash else ID["ATTACK_S3_S"])
    elif abs(y) > TILT:
        weak, strong = ("ATTACK_HI3", "ATTACK_HI4") if y > 0 else ("ATTACK_LW3", "ATTACK_LW4")
        fighter.enter(ID[strong if pad.c_down else weak])
    else:
        fighter.enter(ID["ATTACK_11"])


def _walk(fighter: Fighter, pad: Pad) -> None:
    run_speed, size = fighter.attributes.run_speed, abs(pad.x)
    side = 1 if pad.x > 0 else -1
    if pad.x_flick:
        fighter.facing = side
        dash(fighter)
    elif fighter.action in (DASH, RUN):
        _keep_running(fighter, pad, side)
    elif size > TILT and fighter.action != SQUAT_WAIT:
        if side != fighter.facing:
            fighter.facing = side
            fighter.enter(TURN)
        else:
            fighter.keep_doing(WALK_SLOW if size < 0.5 else WALK_MIDDLE if size < 0.75 else WALK_FAST)
            fighter.vx = toward(fighter.vx, fighter.attributes.walk_speed * pad.x, 0.1)
    elif pad.y < -FLICK:
        fighter.keep_doing(SQUAT_WAIT)
    elif fighter.action == SQUAT_WAIT:
        fighter.enter(SQUAT_RV)
    else:
        fighter.keep_doing(WAIT)
    fighter.vx = max(-run_speed, min(run_speed, fighter.vx)) if fighter.action == RUN else fighter.vx


def dash(fighter: Fighter) -> None:
    """Begin a dash the way the fighter faces."""
    fighter.vx = fighter.facing * fighter.attributes.dash_speed
    fighter.enter(DASH)


def _keep_running(fighter: Fighter, pad: Pad, side: int) -> None:
    if fighter.action == DASH and fighter.age < 12:
        return
    if abs(pad.x) > TILT and side == fighter.facing:
        fighter.keep_doing(RUN)
        fighter.vx = toward(fighter.vx, side * fighter.attributes.run_speed, 0.12)
    else:
        fighter.enter(RUN_BRAKE)


def _leave_ground(fighter: Fighter, pad: Pad) -> None:
    limit = fighter.attributes.air_speed * 1.4
    fighter.vx = max(-limit, min(limit, fighter.vx * 0.8 + pad.x * 0.7))
    fighter.vy = fighter.attributes.jump_speed if pad.jump or pad.y > FLICK else fighter.attributes.short_hop_speed
    fighter.take_off(ID["JUMP_B"] if pad.x * fighter.facing < -TILT else ID["JUMP_F"])


def _drop_through(fighter: Fighter) -> None:
    fighter.y -= 0.5
    fighter.vy = -0.5
    fighter.take_off(PASS)
