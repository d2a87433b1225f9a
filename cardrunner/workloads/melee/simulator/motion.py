"""The laws of motion of the built-in simulator: speeds, positions, landings, edges, ledges."""

from __future__ import annotations

import math
from typing import Final

from cardrunner.workloads.melee.game.stage_table import (
    Platform,
)
from cardrunner.workloads.melee.simulator.fighter import (
    FLICK,
    JUMPS,
    TILT,
    Fighter,
    toward,
)
from cardrunner.workloads.melee.simulator.moves import (
    AERIAL_LANDINGS,
    MOVES,
    UP_SPECIAL,
)
from cardrunner.workloads.melee.simulator.states import (
    CLIFF_CATCH,
    DAMAGE_FALL,
    DASH,
    DEAD,
    DOWN_BOUND,
    ESCAPE_AIR,
    ESCAPE_B,
    ESCAPE_F,
    FALL,
    FREE_IN_AIR,
    HELPLESS,
    JUMPING,
    LANDING,
    LANDING_SPECIAL,
    ON_LEDGE,
    PASSIVE,
    REBIRTH,
    REBIRTH_WAIT,
    RUN,
    SHIELDS,
    TUMBLES,
    WALKS,
)

L_CANCEL_WINDOW: Final = 7
TECH_WINDOW: Final = 20
_KNOCKBACK_DECAY = 0.051
_LEDGE_X, _LEDGE_DOWN, _LEDGE_HANG = 9.0, 22.0, 15.0


def move(fighter: Fighter) -> None:
    """One frame of motion: speeds, position, landing, edges, ledges."""
    if fighter.action in DEAD or fighter.action in (REBIRTH, REBIRTH_WAIT) or fighter.action in ON_LEDGE:
        fighter.vx = fighter.vy = 0.0
        return
    _decay_knockback(fighter)
    before_x, before_y = fighter.x, fighter.y
    if fighter.grounded:
        _slide(fighter)
    else:
        _fly(fighter)
    fighter.x += fighter.vx + fighter.knock_x
    fighter.y += 0.0 if fighter.grounded else fighter.vy + fighter.knock_y
    if fighter.grounded:
        _check_edge(fighter)
    else:
        _meet_stage(fighter, before_x, before_y)


def _decay_knockback(fighter: Fighter) -> None:
    speed = math.hypot(fighter.knock_x, fighter.knock_y)
    keep = max(speed - _KNOCKBACK_DECAY, 0.0) / speed if speed else 0.0
    fighter.knock_x, fighter.knock_y = fighter.knock_x * keep, fighter.knock_y * keep


def _slide(fighter: Fighter) -> None:
    if fighter.action not in (DASH, RUN, ESCAPE_F, ESCAPE_B) and fighter.action not in WALKS:
        fighter.vx = toward(fighter.vx, 0.0, fighter.attributes.friction)
    fighter.vy = 0.0


def _fly(fighter: Fighter) -> None:
    about, pad = fighter.attributes, fighter.pad
    if fighter.action == ESCAPE_AIR and fighter.age < 28:
        fighter.vx, fighter.vy = fighter.vx * 0.9, fighter.vy * 0.9
        return
    drifting = abs(pad.x) > TILT and fighter.stun == 0
    target = pad.x * about.air_speed if drifting else 0.0
    fighter.vx = toward(fighter.vx, target, about.air_acceleration if drifting else 0.02)
    if fighter.fast_falling:
        fighter.vy = -about.fast_fall_speed
    else:
        fighter.vy = max(fighter.vy - about.gravity, -about.fall_speed)


def _check_edge(fighter: Fighter) -> None:
    surface = fighter.surface
    if surface.left <= fighter.x <= surface.right:
        return
    if fighter.action in (ESCAPE_F, ESCAPE_B) or fighter.action in SHIELDS or fighter.attack is not None:
        fighter.x, fighter.vx, fighter.knock_x = min(max(fighter.x, surface.left), surface.right), 0.0, 0.0
        return
    stunned = fighter.stun
    fighter.take_off(DAMAGE_FALL if stunned else FALL)


def _meet_stage(fighter: Fighter, before_x: float, before_y: float) -> None:
    half = fighter.stage.half_width
    if before_y < 0 and fighter.y < 0 and abs(fighter.x) < half <= abs(before_x):
        fighter.x, fighter.vx = math.copysign(half, before_x), 0.0
    if before_y < 0 <= fighter.y and max(abs(fighter.x), abs(before_x)) < half:
        fighter.y, fighter.vy, fighter.knock_y = -0.5, min(fighter.vy, 0.0), 0.0
    if fighter.y < before_y:
        _maybe_land(fighter, before_y)
    if not fighter.grounded:
        _maybe_grab_ledge(fighter)


def _maybe_land(fighter: Fighter, before_y: float) -> None:
    for surface in (fighter.stage.main, *fighter.stage.platforms):
        if fighter.y <= surface.y <= before_y and surface.left <= fighter.x <= surface.right:
            through = surface is not fighter.stage.main and fighter.pad.y < -FLICK and fighter.stun == 0
            if not through:
                _land(fighter, surface)
            return


def _land(fighter: Fighter, surface: Platform) -> None:
    action, age = fighter.action, fighter.age
    fighter.stand_on(surface, x=fighter.x)
    if fighter.stun or action in TUMBLES:
        _land_hurt(fighter, action)
    elif action in AERIAL_LANDINGS:
        cancelled = fighter.since_shield <= L_CANCEL_WINDOW
        fighter.l_cancel = 1 if cancelled else 2
        fighter.enter(AERIAL_LANDINGS[action], lock=max(MOVES[action].landing // (2 if cancelled else 1), 2))
    elif action in HELPLESS or action in (ESCAPE_AIR, UP_SPECIAL):
        fighter.enter(LANDING_SPECIAL)
    elif not (action in JUMPING and age < 2):
        fighter.enter(LANDING)


def _land_hurt(fighter: Fighter, action: int) -> None:
    fighter.knock_y = 0.0
    if action in TUMBLES:
        fighter.stun = 0
        fighter.enter(PASSIVE if fighter.since_shield <= TECH_WINDOW else DOWN_BOUND)


def _maybe_grab_ledge(fighter: Fighter) -> None:
    outside = abs(fighter.x) - fighter.stage.half_width
    able = fighter.action in FREE_IN_AIR or fighter.action in HELPLESS or fighter.action == UP_SPECIAL
    if fighter.vy > 0 or fighter.stun or fighter.ledge_free or not able or fighter.pad.y < -TILT:
        return
    if 0 <= outside <= _LEDGE_X and -_LEDGE_DOWN <= fighter.y <= -2.0:
        edge = math.copysign(fighter.stage.half_width, fighter.x)
        fighter.x, fighter.y, fighter.facing = edge + math.copysign(2.0, edge), -_LEDGE_HANG, -1 if edge > 0 else 1
        fighter.vx = fighter.vy = fighter.knock_x = fighter.knock_y = 0.0
        fighter.jumps, fighter.fast_falling = JUMPS - 1, False
        fighter.enter(CLIFF_CATCH)
