"""One ``.slp`` replay → the rows of one game, bit for bit by the rules of the encoded format.

Field names are peppi-py's: ``pre`` is what the player pressed, ``post`` is the resulting state. Old replays lack
fields; each has its documented default. Arithmetic is float32 as in existing files, except ``combo_count``.

Shapes: n rows of one game.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardrunner.errors import MissingExtra
from cardrunner.workloads.melee.encoding.layout import (
    ANALOG,
    BUTTONS,
    FLOAT_NAMES,
    FLOATS_PER_PLAYER,
    INTS_PER_PLAYER,
    MINIMUM_ROWS,
    PLAYERS,
    float_index,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig

BUTTON_BITS = {
    "A": 0x0100,
    "B": 0x0200,
    "X": 0x0400,
    "Y": 0x0800,
    "Z": 0x0010,
    "L": 0x0040,
    "R": 0x0020,
    "D_UP": 0x0008,
}
_NO_GROUND = 65535
_FULL_SHIELD = 60.0
_FULL_STOCKS = 4
_LARGEST_PERCENT = 65535.0

Values = NDArray[Any]


class ReplayRejected(Exception):
    """This replay cannot be used for training; the message says why. Other replays are unaffected."""


@dataclass(frozen=True, eq=False)
class EncodedGame:
    """The rows of one replay.

    Attributes:
        floats: float32 (n, 56).
        ints: int64 (n, 17).
        dropped_rows: rollback duplicates that were left out.
    """

    floats: NDArray[np.float32]
    ints: NDArray[np.int64]
    dropped_rows: int


def encode_replay(path: Path, *, drop_rollback: bool = False, encoding: EncodingConfig | None = None) -> EncodedGame:
    """Encode one replay.

    Args:
        path: the ``.slp`` file.
        drop_rollback: keep only the last row of each frame id; by default a frame sent twice gives two rows.
        encoding: scales and vocabularies; default: the 56 + 17 layout.

    Raises:
        ReplayRejected: not readable, not two players, fewer than 120 rows, or values outside a controller's range.
        MissingExtra: peppi-py is not installed.
    """
    game = read_replay(path)
    return encode_game(game, drop_rollback=drop_rollback, encoding=encoding or EncodingConfig())


def encode_game(game: Any, *, drop_rollback: bool, encoding: EncodingConfig) -> EncodedGame:
    """Encode what peppi-py read; as ``encode_replay``."""
    frames = game.frames
    if frames is None or len(frames.id) == 0:
        raise ReplayRejected("it has no frames")
    if len(frames.ports) != len(PLAYERS):
        raise ReplayRejected(f"it has {len(frames.ports)} players, expected 2")
    ids = frames.id.to_numpy(zero_copy_only=False)
    rows = len(ids)
    floats = np.empty((rows, 2 * FLOATS_PER_PLAYER), np.float32)
    ints = np.empty((rows, 2 * INTS_PER_PLAYER + 1), np.int64)
    for player, port in enumerate(frames.ports):
        start = player * FLOATS_PER_PLAYER
        floats[:, start : start + FLOATS_PER_PLAYER] = float_columns(port.leader, rows, encoding).T
        start = player * INTS_PER_PLAYER
        ints[:, start : start + INTS_PER_PLAYER] = int_columns(port.leader, rows, encoding).T
    ints[:, -1] = np.clip(-1 if game.start.stage is None else game.start.stage, 0, encoding.stage_vocab - 1)
    kept = last_of_each(ids) if drop_rollback else slice(None)
    floats, ints = floats[kept], ints[kept]
    _check(floats)
    return EncodedGame(floats, ints, rows - len(floats))


def read_replay(path: Path) -> Any:
    """peppi-py's game of a replay.

    Raises:
        ReplayRejected: it cannot be parsed.
        MissingExtra: peppi-py is not installed.
    """
    try:
        import peppi_py
    except ImportError:
        raise MissingExtra("peppi-py", "melee", "encode replays") from None
    try:
        return peppi_py.read_slippi(str(path))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a damaged replay causes a Rust panic, which is not an Exception
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ReplayRejected(f"it cannot be read ({reason})") from None


def last_of_each(ids: Values) -> NDArray[np.intp]:
    """Ascending numbers of the rows that are the last of their frame id."""
    _, from_the_end = np.unique(ids[::-1], return_index=True)
    return np.sort(len(ids) - 1 - from_the_end)


def float_columns(leader: Any, rows: int, encoding: EncodingConfig) -> NDArray[np.float32]:
    """The 28 float columns of one player, float32 (28, n), in layout order."""
    post = leader.post
    columns = (*_continuous(post, rows, encoding), *_binary(post, rows), *_controller(leader.pre, rows))
    return np.stack(columns).astype(np.float32, copy=False)


def int_columns(leader: Any, rows: int, encoding: EncodingConfig) -> NDArray[np.int64]:
    """The 8 int columns of one player, int64 (8, n), each clipped to its vocabulary."""
    post = leader.post
    ground = _column(post.ground, _NO_GROUND, rows, "ground").astype(np.int64)
    raw = (
        _column(post.state, 0, rows, "state"),
        _column(post.jumps, 0, rows, "jumps"),
        _column(post.character, 0, rows, "character"),
        _column(post.l_cancel, 0, rows, "l_cancel"),
        _column(post.hurtbox_state, 0, rows, "hurtbox_state"),
        np.where(ground == _NO_GROUND, 0, ground + 1),
        _column(post.last_attack_landed, 0, rows, "last_attack_landed"),
        np.trunc(_finite(_column(post.state_age, 0.0, rows, "state_age"), "state_age")),
    )
    sizes = (table.vocab for table in encoding.player_embeddings)
    return np.stack([np.clip(values, 0, size - 1).astype(np.int64) for values, size in zip(raw, sizes, strict=True)])


def _continuous(post: Any, rows: int, encoding: EncodingConfig) -> tuple[Values, ...]:
    speeds = post.velocities
    moving = ("self_x_air", "self_y", "self_x_ground", "knockback_x", "knockback_y")
    velocities = (_column(speeds and getattr(speeds, name), 0.0, rows, name) for name in moving)
    return (
        _scaled(_whole_percent(_column(post.percent, 0.0, rows, "percent")), encoding.percent_scale),
        _scaled(_column(post.position.x, 0.0, rows, "position.x"), encoding.xy_scale),
        _scaled(_column(post.position.y, 0.0, rows, "position.y"), encoding.xy_scale),
        _scaled(_column(post.shield, _FULL_SHIELD, rows, "shield"), encoding.shield_scale),
        *(_scaled(values, encoding.velocity_scale) for values in velocities),
        _scaled(_column(post.hitlag, 0.0, rows, "hitlag"), encoding.hitlag_scale),
        _scaled(_column(post.stocks, _FULL_STOCKS, rows, "stocks"), encoding.stocks_scale),
        combo_column(_column(post.combo_count, 0, rows, "combo_count"), encoding),
    )


def _binary(post: Any, rows: int) -> tuple[Values, ...]:
    return (
        _column(post.direction, 0.0, rows, "direction") > 0,
        _column(post.hurtbox_state, 0, rows, "hurtbox_state") != 0,
        _column(post.airborne, 0, rows, "airborne") == 0,
    )


def _controller(pre: Any, rows: int) -> tuple[Values, ...]:
    axes = (pre.joystick.x, pre.joystick.y, pre.cstick.x, pre.cstick.y)
    sticks = (_column(axis, 0.0, rows, "stick") / np.float32(2) + np.float32(0.5) for axis in axes)
    triggers = (
        _column(side, 0.0, rows, "triggers_physical") for side in (pre.triggers_physical.l, pre.triggers_physical.r)
    )
    pressed = _column(pre.buttons_physical, 0, rows, "buttons_physical")
    return (*sticks, np.maximum(*triggers), *(pressed & BUTTON_BITS[name] != 0 for name in BUTTONS))


def combo_column(counts: Values, encoding: EncodingConfig) -> NDArray[np.float32]:
    """Combo counts (n,), scaled in float64 and rounded once: float32 arithmetic differs in the last bit."""
    return (counts.astype(np.float64) * encoding.combo_count_scale).astype(np.float32)


def _whole_percent(percent: Values) -> Values:
    """Percent (n,) without its fraction."""
    inside = (percent >= 0) & (percent <= _LARGEST_PERCENT)
    if not inside.all():
        raise ReplayRejected(f"percent is {percent[~inside][0]:g} in row {int(np.argmin(inside))}, which no game shows")
    return percent.astype(np.uint16)


def _scaled(values: Values, scale: float) -> Values:
    return values.astype(np.float32) * np.float32(scale)


def _column(array: Any, default: float, rows: int, name: str) -> Values:
    """A field of the replay as (n,), or its default if the replay is too old to have it."""
    if array is None:
        return np.full(rows, default)
    if array.null_count or len(array) != rows:
        raise ReplayRejected(f"{name} has gaps")
    values: Values = array.to_numpy(zero_copy_only=False)
    return values


def _finite(values: Values, name: str) -> Values:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ReplayRejected(f"{name} is {values[bad[0]]} in row {bad[0]}")
    return values


def _check(floats: NDArray[np.float32]) -> None:
    """Refuse games that are too short and values that would destroy a loss."""
    if len(floats) < MINIMUM_ROWS:
        raise ReplayRejected(f"it has {len(floats)} rows, expected at least {MINIMUM_ROWS}")
    broken = np.argwhere(~np.isfinite(floats))
    if len(broken):
        row, column = broken[0]
        raise ReplayRejected(f"{FLOAT_NAMES[column]} is {floats[row, column]} in row {row}")
    for player in PLAYERS:
        for name in ANALOG:
            _check_axis(floats[:, float_index(name, player)], name, player)


def _check_axis(values: Values, name: str, player: int) -> None:
    outside = (values < 0) | (values > 1)
    if outside.any():
        row = int(np.argmax(outside))
        kind = "trigger" if name == "shoulder" else "stick"
        raise ReplayRejected(f"garbage {kind}: p{player}.{name} is {values[row]:g} in row {row}, outside [0, 1]")
