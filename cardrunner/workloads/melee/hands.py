"""Hands on a controller: they need a few frames to get where the head wants them, hold, and tremble a little."""

from __future__ import annotations

import math
import random
from typing import Final

from cardrunner.workloads.melee.layout import BUTTONS, STICK_STEP, TRIGGER_STEP

_RIM: Final = 80
"""Steps from the centre of a stick to its rim."""
_FULL_TRIGGER: Final = 140
_ARRIVED: Final = 10
_STICK_TREMBLE, _TRIGGER_TREMBLE = 0.06, 0.6
_CLICK: Final = 0.9


class Hands:
    """Two hands; ``advance`` gives the controller of the next frame.

    Args:
        dice: their chance.
    """

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._stick, self._stick_goal = [0, 0], (0, 0)
        self._c, self._c_frames = (0, 0), 0
        self._trigger, self._trigger_goal, self._trigger_frames = 0, 0, 0
        self._held = dict.fromkeys(BUTTONS, 0)
        self._due: dict[str, tuple[int, int]] = {}

    def tilt(self, x: float, y: float) -> None:
        """Move the main stick toward (x, y), each -1..1, and stay there."""
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
