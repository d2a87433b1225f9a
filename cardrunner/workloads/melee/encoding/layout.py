"""The layout of an encoded frame: 56 floats and 17 ints, the owner and range of each column.

Player 0 is the lower occupied port. Its 28 floats come first, then player 1's; likewise 8 ints each, then the stage::

    floats  [p0: 12 continuous · 3 binary · 5 analog · 8 buttons] [p1: the same]
    ints    [p0: action … state_age] [p1: the same] [stage]

Scales and vocabularies are in ``encoding.py``. Torch and numpy are not imported here, so a card can be checked without
them.
"""

from __future__ import annotations

from typing import Final, Literal

PlayerIndex = Literal[0, 1]

PLAYERS: Final[tuple[PlayerIndex, PlayerIndex]] = (0, 1)

CONTINUOUS: Final = (
    "percent",
    "x",
    "y",
    "shield",
    "speed_air_x",
    "speed_y",
    "speed_ground_x",
    "speed_attack_x",
    "speed_attack_y",
    "hitlag",
    "stocks",
    "combo_count",
)
BINARY: Final = ("facing", "invulnerable", "on_ground")
STICKS: Final = ("main_x", "main_y", "c_x", "c_y")
ANALOG: Final = (*STICKS, "shoulder")
BUTTONS: Final = ("A", "B", "X", "Y", "Z", "L", "R", "D_UP")
CONTROLLER: Final = (*ANALOG, *BUTTONS)

PLAYER_FLOATS: Final = (*CONTINUOUS, *BINARY, *CONTROLLER)
PLAYER_INTS: Final = (
    "action",
    "jumps_left",
    "character",
    "l_cancel",
    "hurtbox_state",
    "ground",
    "last_attack_landed",
    "state_age",
)
STAGE: Final = "stage"

FLOATS_PER_PLAYER: Final = len(PLAYER_FLOATS)
INTS_PER_PLAYER: Final = len(PLAYER_INTS)
FLOATS: Final = 2 * FLOATS_PER_PLAYER
INTS: Final = 2 * INTS_PER_PLAYER + 1
STAGE_COLUMN: Final = INTS - 1
FLOAT_BYTES: Final = 4
INT_BYTES: Final = 8
BYTES_PER_FRAME: Final = FLOATS * FLOAT_BYTES + INTS * INT_BYTES

FLOAT_NAMES: Final = tuple(f"p{player}.{name}" for player in PLAYERS for name in PLAYER_FLOATS)
INT_NAMES: Final = (*(f"p{player}.{name}" for player in PLAYERS for name in PLAYER_INTS), STAGE)


STICK_STEP: Final = 1 / 160
"""Smallest change of a stick axis in the 0..1 units of the file."""
TRIGGER_STEP: Final = 1 / 140
"""Smallest change of the shoulder value."""
NEUTRAL_CONTROL: Final = (0.5, 0.5, 0.5, 0.5, *(0.0,) * 9)
"""The 13 values of a neutral controller."""

MINIMUM_ROWS: Final = 120
"""A replay with fewer rows than this is not a game."""


def controller_slice(player: PlayerIndex) -> slice:
    """The 13 controller columns of a player: 15..28 for player 0, 43..56 for player 1."""
    first = float_index(CONTROLLER[0], player)
    return slice(first, first + len(CONTROLLER))


def float_index(name: str, player: PlayerIndex = 0) -> int:
    """Column of a player's float field; ValueError for an unknown name."""
    return player * FLOATS_PER_PLAYER + PLAYER_FLOATS.index(name)


def int_index(name: str, player: PlayerIndex = 0) -> int:
    """Column of a player's int field; ValueError for an unknown name."""
    return player * INTS_PER_PLAYER + PLAYER_INTS.index(name)
