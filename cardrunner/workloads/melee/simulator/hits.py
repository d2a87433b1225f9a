"""Hits and knock-outs of the built-in simulator.

Knockback, hitlag (damage / 3 + 3 frames), hitstun (0.4 x knockback) and launch speed (0.03 x knockback) follow the
formulas that the game's community has documented.
"""

from __future__ import annotations

import math
from typing import Final

from cardrunner.workloads.melee.game.names import ACTION_IDS as ID
from cardrunner.workloads.melee.game.stage_table import StageGeometry
from cardrunner.workloads.melee.simulator.fighter import JUMPS, Fighter
from cardrunner.workloads.melee.simulator.moves import Move
from cardrunner.workloads.melee.simulator.states import DEAD, GUARD_SET_OFF, REBIRTH, REBIRTH_WAIT, SHIELDS

MAX_PERCENT: Final = 999.0
_BODY_RADIUS, _BODY_HEIGHT = 6.0, 7.0
_TUMBLE = 80.0
ROOM: Final = 10.0
"""The greatest distance beyond a blast zone of a position."""
_NO_LAUNCH = 1e-9


def exchange_hits(one: Fighter, other: Fighter) -> None:
    hits = [(a, b, move) for a, b in ((one, other), (other, one)) if (move := a.hitting) and _reaches(a, b, move)]
    for attacker, target, move in hits:
        _strike(attacker, target, move)


def _reaches(attacker: Fighter, target: Fighter, move: Move) -> bool:
    if target.hurtbox or attacker.hitlag:
        return False
    dx = attacker.x + attacker.facing * move.reach - target.x
    dy = attacker.y + move.height - target.y - _BODY_HEIGHT
    reach = move.radius + _BODY_RADIUS
    return dx * dx + dy * dy <= reach * reach


def _strike(attacker: Fighter, target: Fighter, move: Move) -> None:
    attacker.hit_landed = True
    attacker.hitlag = target.hitlag = int(move.damage / 3 + 3)
    away = 1 if target.x >= attacker.x else -1
    if target.action in SHIELDS and not move.unblockable:
        target.shield = max(target.shield - 0.7 * move.damage, 0.5)
        target.enter(GUARD_SET_OFF)
        target.stun, target.vx = int((move.damage + 4.45) / 2.235), away * 0.09 * move.damage
        return
    attacker.last_attack = move.id
    attacker.combo = min(attacker.combo + 1, 99) if target.stun else 1
    target.percent = min(target.percent + move.damage, MAX_PERCENT)
    _launch(target, move, _knockback(target, move), attacker.facing if move.reach >= 0 else -attacker.facing)


def _knockback(target: Fighter, move: Move) -> float:
    """Knockback of a hit, from the target's percent after it, the damage and the weight."""
    percent, weight = target.percent, target.attributes.weight
    strength = (percent / 10 + percent * move.damage / 20) * 200 / (weight + 100) * 1.4 + 18
    return strength * move.growth / 100 + move.base


def _launch(target: Fighter, move: Move, knockback: float, side: int) -> None:
    angle, speed = math.radians(move.angle), 0.03 * knockback
    target.vx = target.vy = 0.0
    target.fast_falling = False
    target.knock_x, target.knock_y = side * speed * math.cos(angle), speed * math.sin(angle)
    target.stun, target.facing = max(int(0.4 * knockback), 1), -side
    if target.grounded and target.knock_y < 0:
        target.knock_y *= -0.8
    flies = knockback >= _TUMBLE or not target.grounded or target.knock_y > 1.2
    if flies and target.grounded:
        target.grounded, target.jumps = False, min(target.jumps, JUMPS - 1)
        target.y += _NO_LAUNCH
    target.enter(_damage_action(target, move.angle, knockback))


def _damage_action(target: Fighter, angle: float, knockback: float) -> int:
    if knockback >= _TUMBLE:
        return ID["DAMAGE_FLY_TOP" if 70 <= angle <= 110 else "DAMAGE_FLY_LW" if angle > 180 else "DAMAGE_FLY_N"]
    level = 1 + min(int(knockback / 30), 2)
    return ID[f"DAMAGE_{'N' if target.grounded else 'AIR'}_{level}"]


def check_blast_zones(fighter: Fighter, stage: StageGeometry) -> None:
    zone = stage.blast
    if fighter.action in DEAD or fighter.action in (REBIRTH, REBIRTH_WAIT):
        return
    if fighter.y < zone.bottom:
        _lose_stock(fighter, ID["DEAD_DOWN"])
    elif fighter.x < zone.left:
        _lose_stock(fighter, ID["DEAD_LEFT"])
    elif fighter.x > zone.right:
        _lose_stock(fighter, ID["DEAD_RIGHT"])
    elif fighter.y > zone.top and fighter.stun:
        _lose_stock(fighter, ID["DEAD_UP"])
    fighter.x = min(max(fighter.x, zone.left - ROOM), zone.right + ROOM)
    fighter.y = min(max(fighter.y, zone.bottom - ROOM), zone.top + ROOM)


def _lose_stock(fighter: Fighter, action: int) -> None:
    fighter.stocks -= 1
    fighter.grounded, fighter.fast_falling = False, False
    fighter.stun = fighter.hitlag = fighter.combo = 0
    fighter.vx = fighter.vy = fighter.knock_x = fighter.knock_y = 0.0
    fighter.enter(action)
