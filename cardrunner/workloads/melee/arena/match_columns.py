"""Reads a match file back as columns: for packing the viewer's page and for measuring play.

Shapes: N frames.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.errors import IntegrityError
from cardrunner.runs.files import explained
from cardrunner.workloads.melee.encoding.layout import CONTROLLER

SLOTS: Final = ("p0", "p1")
FORMAT_VERSION: Final = 1
GUESSES: Final = 3
_FRAMES_BEGIN: Final = '"frames": ['
_FACING = ("facing_right", "facing")
_NAN = math.nan

_PLAIN = (
    "x", "y", "percent", "shield", "stocks", "invulnerable", "on_ground", "action", "character", "jumps_left",
    "position_error", "action_correct",
)  # fmt: skip
_RENAMED = {"speed": "speed_magnitude", "entropy": "action_entropy"}
_EVENTS = ("ko", "velocity_clamped", "stock_protected")
_RANKED = tuple(f"{kind}_{rank}" for kind in ("likely", "chance") for rank in range(GUESSES))
_GHOST = ("ghost_x", "ghost_y", "ghost_facing")
PLAYER_COLUMNS: Final = (*_PLAIN, *_RENAMED, "facing", *CONTROLLER, *_RANKED, *_EVENTS, *_GHOST)
"""Columns of a player in a frame: numbers, booleans as 1 and 0, NaN for what the file lacks."""

Column = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MatchColumns:
    """A match file as columns.

    Attributes:
        meta, stage_geometry, summary: as in the file.
        sources: the distinct sources of its frames.
        source: float32 (N,), indices into ``sources``.
        players: for player 0 and 1 each of ``PLAYER_COLUMNS``, float32 (N,).
    """

    meta: Mapping[str, Any]
    stage_geometry: Mapping[str, Any]
    summary: Mapping[str, Any]
    sources: tuple[str, ...]
    source: Column
    players: tuple[Mapping[str, Column], Mapping[str, Column]]

    def __len__(self) -> int:
        return len(self.source)


def read_match(path: Path) -> MatchColumns:
    """Read a match file; one that has a frame on each line is never in memory as a whole.

    Raises:
        EnvironmentFailed: it cannot be read.
        IntegrityError: it is not a match file, or is damaged.
    """
    rest: list[str] = []
    columns = _MatchColumns(path)
    try:
        with explained(path, "read"), path.open(encoding="utf-8") as stream:
            for frame in _frame_lines(stream, rest):
                columns.add(json.loads(frame))
        head = json.loads("".join(rest))
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError too
        raise IntegrityError(f"{path} is not complete, strict JSON; make the demo again") from None
    if not isinstance(head, dict) or not isinstance(head.get("frames"), list):
        raise IntegrityError(f"{path} is not a match file: it has no list of frames; make the demo again")
    for frame in head["frames"]:
        columns.add(frame)
    meta, geometry, summary = (_mapping(head.get(name)) for name in ("meta", "stage_geometry", "summary"))
    version = meta.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise IntegrityError(f"{path} is of format version {version!r}; this version reads {FORMAT_VERSION}")
    return columns.finished(meta, geometry, summary)


def _frame_lines(lines: Iterable[str], rest: list[str]) -> Iterator[str]:
    """The lines between ``"frames": [`` and ``]``; every other line goes to ``rest``, which stays JSON without them."""
    inside = False
    for line in lines:
        if inside and not line.startswith("]"):
            yield line.rstrip().removesuffix(",")
            continue
        rest.append(line)
        inside = line.rstrip() == _FRAMES_BEGIN


class _MatchColumns:
    """Collects one column for each entry of ``PLAYER_COLUMNS``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sources: dict[str, int] = {}
        self._source = array("f")
        self._players = tuple(tuple(array("f") for _ in PLAYER_COLUMNS) for _ in SLOTS)

    def add(self, frame: object) -> None:
        """Read one frame."""
        frame = _mapping(frame)
        actual, predicted, events = (_mapping(frame.get(name)) for name in ("actual", "predicted", "harness_events"))
        shown = predicted or actual
        number = len(self._source)
        for slot, columns in zip(SLOTS, self._players, strict=True):
            player, ghost = _mapping(shown.get(slot)), _mapping(actual.get(slot)) if predicted else {}
            values = _values(player, _mapping(events.get(slot)), ghost)
            if not (math.isfinite(values[0]) and math.isfinite(values[1])):
                raise IntegrityError(f"{self._path}: frame {number} lacks the position of {slot}; make the demo again")
            for column, value in zip(columns, values, strict=True):
                column.append(value)
        source = str(frame.get("source", "unknown"))
        self._source.append(self._sources.setdefault(source, len(self._sources)))

    def finished(
        self, meta: Mapping[str, Any], geometry: Mapping[str, Any], summary: Mapping[str, Any]
    ) -> MatchColumns:
        """The match from all frames read."""
        if not self._source:
            raise IntegrityError(f"{self._path} has no frames; make the demo again")
        first, second = (
            {name: np.frombuffer(column, np.float32) for name, column in zip(PLAYER_COLUMNS, columns, strict=True)}
            for columns in self._players
        )
        source = np.frombuffer(self._source, np.float32)
        return MatchColumns(meta, geometry, summary, tuple(self._sources), source, (first, second))


def _values(player: Mapping[str, Any], events: Mapping[str, Any], ghost: Mapping[str, Any]) -> list[float]:
    """A player's values in the order of ``PLAYER_COLUMNS``."""
    pad = _mapping(player.get("controller"))
    top = player.get("top3_actions")
    ranked = [_mapping(each) for each in top[:GUESSES]] if isinstance(top, list) else []
    ranked += [{}] * (GUESSES - len(ranked))
    found = [
        *(player.get(name) for name in _PLAIN),
        *(player.get(name) for name in _RENAMED.values()),
        _first(player, _FACING),
        *(pad.get(name) for name in CONTROLLER),
        *(each.get("action") for each in ranked),
        *(each.get("prob") for each in ranked),
        *(events.get(name) for name in _EVENTS),
        ghost.get("x"),
        ghost.get("y"),
        _first(ghost, _FACING),
    ]
    return [value if isinstance(value, int | float) else _NAN for value in found]


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((values[name] for name in names if name in values), None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
