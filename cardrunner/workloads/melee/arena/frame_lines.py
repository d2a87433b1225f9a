"""Frames as lines of JSON, whole blocks at a time: a template for the keys, filled row by row.

A dict per frame and the json module would take longer than the models do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.workloads.melee.arena.player_columns import Flags, PlayerColumns, Predicted
from cardrunner.workloads.melee.encoding.layout import CONTINUOUS, CONTROLLER
from cardrunner.workloads.melee.game.names import ACTION_NAMES
from cardrunner.workloads.melee.game.rules import Events
from cardrunner.workloads.melee.game.stage_table import StageGeometry

_SLOTS: Final = ("p0", "p1")
_NAMES: Final = np.array([json.dumps(name) for name in ACTION_NAMES], dtype=object)
_TRUTH: Final = np.array(["false", "true"], dtype=object)
_FLAT: Final = tuple(name for name in CONTINUOUS if name != "stocks")
_VELOCITY: Final = ("speed_air_x", "speed_y", "speed_ground_x")
_STATE: Final = (
    *_FLAT, "stocks", "facing", "facing_right", "invulnerable", "on_ground", "action", "action_name", "jumps_left",
    "character",
)  # fmt: skip

Column = list[Any]
"""One value per frame, as it is printed."""


class FrameLines:
    """Writes the frames of a match in order.

    Args:
        stage: where it is played.
        stage_id: as in the frames.
    """

    def __init__(self, stage: StageGeometry, stage_id: int) -> None:
        self._stage = stage
        self._next = 0
        seed = ",".join(f'"{slot}":{_player_template(_STATE)}' for slot in _SLOTS)
        self._seed = f'{{"t":%s,"source":"seed","actual":{{{seed},"stage":{stage_id}}},"predicted":null}}'
        self._played = {likeliest: _played_template(likeliest) for likeliest in (1, 3)}

    def write_seed(self, stream: BinaryIO, columns: PlayerColumns) -> None:
        """Write recorded frames."""
        self._write(stream, self._seed, [column for player in (0, 1) for column in _state(columns, player)])

    def write_played(self, stream: BinaryIO, columns: PlayerColumns, predicted: Predicted, events: Flags) -> None:
        """Write frames that a world produced; events bool (n, kinds, 2)."""
        values = [
            column
            for player in (0, 1)
            for column in (*_state(columns, player), *_worked_out(columns, predicted, player))
        ]
        values += [_truth(events[:, kind, player]) for player in (0, 1) for kind in range(len(Events._fields))]
        self._write(stream, self._played[predicted.actions.shape[-1]], values)

    def _write(self, stream: BinaryIO, template: str, columns: Sequence[Column]) -> None:
        numbers = range(self._next, self._next + len(columns[0]))
        text = ",\n".join([template % row for row in zip(numbers, *columns, strict=True)])
        stream.write((",\n" + text if self._next else text).encode())
        self._next = numbers.stop


def _played_template(likeliest: int) -> str:
    action = '{"action":%s,"name":%s,"prob":%s}'
    top = f'"top3_actions":[{",".join([action] * likeliest)}]'
    velocity = f'"velocity":{_object(_VELOCITY)}'
    rest = ",".join(f'"{name}":%s' for name in ("action_entropy", "speed_magnitude", "off_stage", "near_blast_zone"))
    player = f"{_player_template(_STATE)[:-1]},{top},{velocity},{rest}}}"
    predicted = ",".join(f'"{slot}":{player}' for slot in _SLOTS)
    events = ",".join(f'"{slot}":{_object(Events._fields)}' for slot in _SLOTS)
    return f'{{"t":%s,"source":"agent","actual":null,"predicted":{{{predicted}}},"harness_events":{{{events}}}}}'


def _player_template(fields: Sequence[str]) -> str:
    return f'{_object(fields)[:-1]},"controller":{_object(CONTROLLER)}}}'


def _object(fields: Sequence[str]) -> str:
    pairs = ",".join(f'"{name}":%s' for name in fields)
    return f"{{{pairs}}}"


def _state(columns: PlayerColumns, player: int) -> Iterator[Column]:
    """The values of `_STATE`, then the controller's."""
    yield from (columns.number(name)[:, player].tolist() for name in _FLAT)
    yield columns.stocks[:, player].tolist()
    facing = _truth(columns.flag("facing")[:, player])
    yield facing
    yield facing
    yield _truth(columns.flag("invulnerable")[:, player])
    yield _truth(columns.flag("on_ground")[:, player])
    actions = columns.category("action")[:, player]
    yield actions.tolist()
    yield _NAMES[actions].tolist()
    yield columns.category("jumps_left")[:, player].tolist()
    yield columns.category("character")[:, player].tolist()
    yield from columns.controller[:, player].T.tolist()


def _worked_out(columns: PlayerColumns, predicted: Predicted, player: int) -> Iterator[Column]:
    for place in range(predicted.actions.shape[-1]):
        actions = predicted.actions[:, player, place]
        yield actions.tolist()
        yield _NAMES[actions].tolist()
        yield predicted.chances[:, player, place].tolist()
    yield from (columns.number(name)[:, player].tolist() for name in _VELOCITY)
    yield predicted.entropy[:, player].tolist()
    yield predicted.speed[:, player].tolist()
    yield _truth(predicted.off_stage[:, player])
    yield _truth(predicted.near_blast_zone[:, player])


def _truth(flags: NDArray[np.bool_]) -> Column:
    texts: Column = _TRUTH[flags.astype(np.intp)].tolist()
    return texts
