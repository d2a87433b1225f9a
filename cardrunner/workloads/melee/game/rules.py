"""Rules that a world model may break: stocks are lost only at the blast zones, and fighters have a top speed.

Models now and then invent the loss of a stock, or a speed; corrections are reported and counted.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cardrunner.workloads.melee.encoding.layout import PLAYER_FLOATS, PLAYERS, PlayerIndex, float_index, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.names import ACTION_IDS
from cardrunner.workloads.melee.game.stage_table import StageGeometry
from cardrunner.workloads.melee.game.world import Floats, Frame

LARGEST_SPEED: Final = 5.0
"""Game units per frame; speeds a little above the fastest fighter's."""
RESPAWN_HEIGHT: Final = 45.0
"""Game units above the ground, where recorded games let fighters come back."""
_FULL_SHIELD: Final = 60.0
_REBIRTH: Final = ACTION_IDS["REBIRTH_WAIT"]
_SPEEDS: Final = tuple(name for name in PLAYER_FLOATS if name.startswith("speed_"))
_GONE: Final = (*_SPEEDS, "percent", "x", "hitlag", "combo_count", "on_ground")
Both = tuple[bool, bool]
NEITHER: Final[Both] = (False, False)


class Events(NamedTuple):
    """What happened in a frame to player 0 and player 1."""

    ko: Both = NEITHER
    """Lost a stock."""
    velocity_clamped: Both = NEITHER
    """Moved faster than possible, and was slowed."""
    stock_protected: Both = NEITHER
    """Had a wrong number of stocks, which was restored."""


class GameRules:
    """The rules on one stage.

    Args:
        stage: its blast zones.
        encoding: of the frames.
    """

    def __init__(self, stage: StageGeometry, encoding: EncodingConfig) -> None:
        self._stage, self._encoding = stage, encoding
        self._fastest = LARGEST_SPEED * encoding.velocity_scale
        self._speeds = [slice(float_index(_SPEEDS[0], own), float_index(_SPEEDS[-1], own) + 1) for own in PLAYERS]
        self._places = [(float_index("x", own), float_index("y", own)) for own in PLAYERS]
        self._stocks = [float_index("stocks", own) for own in PLAYERS]

    def apply(self, frame: Frame, before: Frame) -> Events:
        """Correct a frame of possible values in place; returns what happened and what was corrected."""
        values = frame.floats.tolist()
        first = self._player(0, frame, values, before.floats)
        second = self._player(1, frame, values, before.floats)
        if first is _KEPT and second is _KEPT:
            return NOTHING
        return Events(*zip(first, second, strict=True))

    def _player(self, own: PlayerIndex, frame: Frame, values: list[float], before: Floats) -> tuple[bool, bool, bool]:
        stocks, scale = self._stocks[own], self._encoding.stocks_scale
        had, has = round(float(before[stocks]) / scale), round(values[stocks] / scale)
        speeds = self._speeds[own]
        own_speeds = values[speeds]
        slowed = max(own_speeds) > self._fastest or min(own_speeds) < -self._fastest
        if slowed:
            frame.floats[speeds] = frame.floats[speeds].clip(-self._fastest, self._fastest)
        x, y = (values[place] / self._encoding.xy_scale for place in self._places[own])
        lost = had > 0 and self._is_out(x, y)
        if lost:
            self._respawn(own, frame)
        frame.floats[stocks] = (had - lost) * scale
        changed = not lost and has != had
        return (lost, slowed, changed) if lost or slowed or changed else _KEPT

    def _is_out(self, x: float, y: float) -> bool:
        blast = self._stage.blast
        return not (blast.left <= x <= blast.right and blast.bottom <= y <= blast.top)

    def _respawn(self, own: PlayerIndex, frame: Frame) -> None:
        """Put a player at the centre above the stage, without damage and briefly invulnerable."""
        floats, ints = frame
        for name in _GONE:
            floats[float_index(name, own)] = 0.0
        floats[float_index("y", own)] = RESPAWN_HEIGHT * self._encoding.xy_scale
        floats[float_index("shield", own)] = _FULL_SHIELD * self._encoding.shield_scale
        floats[float_index("invulnerable", own)] = 1.0
        ints[int_index("action", own)] = _REBIRTH
        ints[int_index("state_age", own)] = 0
        ints[int_index("ground", own)] = 0


NOTHING: Final = Events()
"""The events of most frames."""
_KEPT: Final = (False, False, False)
