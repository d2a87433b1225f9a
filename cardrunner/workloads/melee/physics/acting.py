"""What a fighter does on a frame: timers run, actions end, and the player's input begins new ones."""

from __future__ import annotations

import math
from typing import Final

from cardrunner.workloads.melee.physics.air import act_in_air, act_on_ledge
from cardrunner.workloads.melee.physics.fighter import (
    FULL_SHIELD,
    JUMPS,
    Fighter,
)
from cardrunner.workloads.melee.physics.ground import act_on_ground, dash
from cardrunner.workloads.melee.physics.moves import (
    LOCKED,
)
from cardrunner.workloads.melee.physics.pad import (
    FLICK,
    TILT,
    Pad,
)
from cardrunner.workloads.melee.physics.states import (
    CLIFF_CLIMB,
    DAMAGE_FALL,
    DEAD,
    FALL,
    GUARD,
    GUARD_SET_OFF,
    ON_LEDGE,
    REBIRTH,
    REBIRTH_WAIT,
    SHIELDS,
    SLEEP,
    TUMBLES,
    TURN,
    WAIT,
)

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
