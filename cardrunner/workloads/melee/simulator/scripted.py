"""Scripted fighters, for the generator's games and as opponents.

Decisions are made from the frame of a few frames ago, and carried out at the speed of human hands. Inputs follow from
what was observed, but not exactly: how long to hold and which of several good moves to take is partly random.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import Final, NamedTuple

from cardrunner.workloads.melee.encoding.layout import (
    BUTTONS,
    STAGE_COLUMN,
    STICK_STEP,
    TRIGGER_STEP,
    PlayerIndex,
    float_index,
    int_index,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.names import ACTION_IDS as ID
from cardrunner.workloads.melee.game.stage_table import stage_geometry
from cardrunner.workloads.melee.game.world import Frame
from cardrunner.workloads.melee.simulator.moves import UP_SPECIAL
from cardrunner.workloads.melee.simulator.states import (
    CLIFF_WAIT,
    DAMAGE,
    DAMAGE_FALL,
    DOWN_WAIT,
    REBIRTH_WAIT,
    TUMBLES,
)

_CONFIG: Final = EncodingConfig()
_REACTION: Final = 5
_AERIALS: Final = frozenset(range(ID["ATTACK_AIR_N"], ID["ATTACK_AIR_LW"] + 1))
_STRIKES: Final = frozenset(range(ID["ATTACK_11"], ID["ATTACK_AIR_LW"] + 1))
_SHIELDING: Final = frozenset(range(ID["GUARD_ON"], ID["GUARD_SET_OFF"] + 1))
_CLOSE_X, _CLOSE_Y, _NEAR, _DANGER = 17.0, 16.0, 55.0, 24.0
_EDGE_ROOM, _LANDING_SOON = 10.0, 14.0


class Body(NamedTuple):
    """What a player observes of one fighter, in game units."""

    x: float
    y: float
    vy: float
    facing: int
    on_ground: bool
    action: int
    jumps: int


def observe(frame: Frame, player: PlayerIndex) -> Body:
    """Observe one fighter of a frame."""
    floats, ints = frame
    return Body(
        float(floats[float_index("x", player)]) / _CONFIG.xy_scale,
        float(floats[float_index("y", player)]) / _CONFIG.xy_scale,
        float(floats[float_index("speed_y", player)]) / _CONFIG.velocity_scale,
        1 if floats[float_index("facing", player)] > 0.5 else -1,
        bool(floats[float_index("on_ground", player)] > 0.5),
        int(ints[int_index("action", player)]),
        int(ints[int_index("jumps_left", player)]),
    )


class ScriptedPlayer:
    """One scripted fighter.

    Args:
        player: its half of the frame.
        seed: of its random choices; the same seed gives the same inputs for the same frames, in any process.
    """

    def __init__(self, player: PlayerIndex, seed: str) -> None:
        self.player: PlayerIndex = player
        self.other: PlayerIndex = 1 if player == 0 else 0
        self._dice = random.Random(f"{seed}/{player}")
        self._hands = Hands(self._dice)
        self._seen: deque[Frame] = deque(maxlen=_REACTION)
        self._busy = 0
        self._recovering = False
        self._dodge_in, self._dodge_side = -1, 0

    def controls(self, frame: Frame) -> list[float]:
        """The 13 controller values that answer a frame, in file units."""
        self._seen.append(frame)
        seen = self._seen[0]
        me, other = observe(seen, self.player), observe(seen, self.other)
        half = stage_geometry(int(seen.ints[STAGE_COLUMN])).half_width
        self._reflexes(me)
        alarmed = not self._recovering and _off_stage(me, half)
        if self._busy > 0 and not alarmed:
            self._busy -= 1
        else:
            self._recovering = False
            self._busy = self._decide(me, other, half)
        return self._hands.advance()

    def _reflexes(self, me: Body) -> None:
        """Act without waiting for the next decision: cancel a landing, finish a wavedash."""
        if me.action in _AERIALS and me.vy < 0 and me.y < _LANDING_SOON and self._dice.random() < 0.3:
            self._hands.squeeze(1.0, 5)
        self._dodge_in = max(self._dodge_in - 1, -1)
        if self._dodge_in == 0:
            self._hands.tilt(self._dodge_side, -0.5)
            self._hands.squeeze(1.0, 8)

    def _decide(self, me: Body, other: Body, half: float) -> int:
        """Give the hands their next goal; returns the number of frames until the next decision."""
        inward = -1 if me.x > 0 else 1
        near = abs(other.x - me.x) < _DANGER and abs(other.y - me.y) < _DANGER
        if me.action <= REBIRTH_WAIT:
            return self._wait(me, inward)
        if me.action == CLIFF_WAIT:
            return self._leave_ledge(inward)
        if me.action in DAMAGE or me.action == DOWN_WAIT or (me.action == DAMAGE_FALL and not _off_stage(me, half)):
            return self._endure(me, inward)
        if _off_stage(me, half):
            return self._recover(me, inward)
        if near and other.action in _STRIKES and me.on_ground and self._dice.random() < 0.4:
            return self._defend(me, other, half)
        if abs(other.x - me.x) < _CLOSE_X and abs(other.y - me.y) < _CLOSE_Y:
            return self._strike(me, other)
        return self._approach(me, other, half)

    def _wait(self, me: Body, inward: int) -> int:
        self._hands.tilt(0, 0)
        if me.action == REBIRTH_WAIT and self._dice.random() < 0.15:
            self._hands.tilt(inward * 0.6, -0.5)
        return 6

    def _leave_ledge(self, inward: int) -> int:
        if self._dice.random() < 0.3:
            self._hands.press("X", self._dice.randint(4, 7))
            self._hands.tilt(inward * 0.5, 0)
        else:
            self._hands.tilt(inward, 0)
        return self._dice.randint(6, 12)

    def _endure(self, me: Body, inward: int) -> int:
        self._hands.tilt(inward, 0.6 if me.action != DOWN_WAIT else 0.9)
        if me.action in TUMBLES and me.vy < 0 and me.y < 25.0:
            self._hands.squeeze(1.0, 6)
        return self._dice.randint(4, 8)

    def _recover(self, me: Body, inward: int) -> int:
        self._recovering = True
        self._hands.tilt(inward, 0)
        if me.vy < 0 and me.jumps and me.y < 15:
            self._hands.press("X", self._dice.randint(4, 7))
            return self._dice.randint(8, 12)
        if me.vy < 0 and not me.jumps and me.y < -5 and me.action != UP_SPECIAL:
            self._hands.tilt(inward * 0.5, 1.0)
            self._hands.press("B", self._dice.randint(5, 8), after=3)
            return self._dice.randint(8, 12)
        return self._dice.randint(2, 5)

    def _defend(self, me: Body, other: Body, half: float) -> int:
        away = 1 if me.x > other.x else -1
        if abs(me.x + 20 * away) > half or self._dice.random() < 0.65:
            self._hands.tilt(0, 0)
            frames = self._dice.randint(12, 24)
            self._hands.squeeze(self._dice.choice((0.6, 1.0, 1.0)), frames)
            return frames
        self._hands.tilt(away, 0)
        return self._dice.randint(8, 14)

    def _strike(self, me: Body, other: Body) -> int:
        side = 1 if other.x > me.x else -1
        above = other.y - me.y
        if not me.on_ground:
            self._strike_in_air(side, above)
        elif other.action in _SHIELDING and self._dice.random() < 0.5:
            self._hands.press("Z", self._dice.randint(4, 7))
        elif above > 8:
            self._hands.tilt(0, 0.55)
            self._hands.press("A", self._dice.randint(4, 7), after=2)
        elif self._dice.random() < 0.4:
            self._hands.flick_c(side, 0, self._dice.randint(4, 8))
        else:
            self._hands.tilt(side * 0.5, -0.4 if self._dice.random() < 0.3 else 0)
            self._hands.press("A", self._dice.randint(4, 7), after=2)
        return self._dice.randint(8, 16)

    def _strike_in_air(self, side: int, above: float) -> None:
        if abs(above) > 4:
            self._hands.flick_c(0, 1 if above > 0 else -1, self._dice.randint(4, 8))
        else:
            self._hands.tilt(side * 0.9, 0)
            self._hands.press("A", self._dice.randint(4, 7), after=2)

    def _approach(self, me: Body, other: Body, half: float) -> int:
        reach = half - _EDGE_ROOM
        there = max(-reach, min(reach, other.x))
        side, far = (1 if there > me.x else -1), abs(there - me.x)
        idea = self._dice.random()
        if not me.on_ground:
            self._hands.tilt(side * 0.9, -1 if me.vy < 0 and idea < 0.3 else 0)
            return self._dice.randint(5, 9)
        if far < 6:
            self._hands.tilt(0, -1 if idea < 0.4 else 0)
            return self._dice.randint(4, 10)
        if far < _NEAR and (other.y - me.y > 18 or idea < 0.2):
            return self._jump(side, "Y" if idea < 0.1 else "X")
        if far < _NEAR and abs(me.x - 25 * side) < reach:
            return self._dance(me, side)
        if far > _NEAR and idea < 0.2:
            self._hands.tilt(0, 0)
            self._hands.press("B", self._dice.randint(4, 7), after=1)
            return self._dice.randint(14, 20)
        self._hands.tilt(side if idea < 0.9 else side * 0.6, 0)
        return self._dice.randint(5, 11)

    def _jump(self, side: int, button: str) -> int:
        self._hands.tilt(side * 0.9, 0)
        self._hands.press(button, self._dice.choice((2, 6, 7)))
        return self._dice.randint(8, 12)

    def _dance(self, me: Body, side: int) -> int:
        """Dash back and forth or wavedash at the edge of the opponent's reach."""
        idea = self._dice.random()
        way = -me.facing if idea < 0.65 else side
        if idea > 0.8:
            self._hands.tilt(0, 0)
            self._hands.press("X", self._dice.randint(3, 5))
            self._dodge_in, self._dodge_side = self._dice.randint(4, 6), way
            return self._dice.randint(16, 22)
        self._hands.tilt(way, self._dice.choice((0, 0, -0.3, 0.2)))
        return self._dice.randint(3, 7)


def _off_stage(me: Body, half: float) -> bool:
    return not me.on_ground and (abs(me.x) > half or me.y < -5) and me.action > REBIRTH_WAIT


_RIM: Final = 80
"""Steps from the centre of a stick to its rim."""
_FULL_TRIGGER: Final = 140
_ARRIVED: Final = 10
_STICK_TREMBLE, _TRIGGER_TREMBLE = 0.06, 0.6
_CLICK: Final = 0.9


class Hands:
    """The hands on the controller; ``advance`` gives its values in the next frame.

    Args:
        dice: their random numbers.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._stick, self._stick_goal = [0, 0], (0, 0)
        self._c, self._c_frames = (0, 0), 0
        self._trigger, self._trigger_goal, self._trigger_frames = 0, 0, 0
        self._held = dict.fromkeys(BUTTONS, 0)
        self._due: dict[str, tuple[int, int]] = {}

    def tilt(self, x: float, y: float) -> None:
        """Move the main stick toward (x, y), each -1..1, and hold it there."""
        length = max(math.hypot(x, y), 1.0)
        rim = _RIM - self._dice.choice((0, 1, 1, 1, 2))
        self._stick_goal = (round(rim * x / length), round(rim * y / length))

    def flick_c(self, x: float, y: float, frames: int) -> None:
        """Push the C stick to (x, y) for some frames."""
        self._c, self._c_frames = (round(_RIM * x), round(_RIM * y)), frames

    def press(self, button: str, frames: int, *, after: int = 0) -> None:
        """Hold a button for some frames, beginning in ``after`` frames: a stick needs some to arrive first."""
        self._due[button] = (after, frames)

    def squeeze(self, amount: float, frames: int) -> None:
        """Press the left shoulder to ``amount`` (0..1); near 1 the button at its end clicks."""
        self._trigger_goal, self._trigger_frames = round(_FULL_TRIGGER * amount), frames

    def advance(self) -> list[float]:
        """The 13 controller values of the next frame, in file units."""
        self._stick = [self._glide(now, goal) for now, goal in zip(self._stick, self._stick_goal, strict=True)]
        c = self._c if self._c_frames > 0 else (0, 0)
        self._c_frames -= 1
        self._advance_trigger()
        self._press_due()
        if self._trigger >= _CLICK * _FULL_TRIGGER:
            self._held["L"] = max(self._held["L"], 1)
        sticks = ((step + _RIM) * STICK_STEP for step in (*self._stick, *c))
        values = [*sticks, self._trigger * TRIGGER_STEP, *(float(self._held[name] > 0) for name in BUTTONS)]
        for name in BUTTONS:
            self._held[name] = max(self._held[name] - 1, 0)
        return values

    def _press_due(self) -> None:
        for button, (after, frames) in tuple(self._due.items()):
            if after == 0:
                self._held[button] = max(self._held[button], frames)
                del self._due[button]
            else:
                self._due[button] = (after - 1, frames)

    def _glide(self, now: int, goal: int) -> int:
        """One axis one frame on: large moves take one to three frames, a held tilt trembles, rest is exact."""
        way = goal - now
        if abs(way) > _ARRIVED:
            return now + round(way * self._dice.uniform(0.6, 1.0))
        if goal == 0:
            return 0
        shake = self._dice.choice((-2, -1, 1, 2)) if self._dice.random() < _STICK_TREMBLE else 0
        landed = goal if way and self._dice.random() < 0.5 else now
        return max(-_RIM, min(_RIM, landed + shake))

    def _advance_trigger(self) -> None:
        self._trigger_frames -= 1
        goal = self._trigger_goal if self._trigger_frames >= 0 else 0
        way = goal - self._trigger
        if abs(way) > _ARRIVED:
            self._trigger += round(way * self._dice.uniform(0.4, 0.9))
        elif goal == 0:
            self._trigger = 0
        elif self._dice.random() < _TRIGGER_TREMBLE:
            self._trigger = max(0, min(_FULL_TRIGGER, goal + self._dice.randint(-4, 4)))
