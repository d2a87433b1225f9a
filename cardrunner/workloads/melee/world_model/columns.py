"""The columns of a frame that a world model predicts, in the order of its outputs. Torch-free.

Per output: player 0's columns, then player 1's. Not predicted: the controllers, which are inputs; the character and
the stage, which are constant; the age of an action, which follows from the action.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cardrunner.workloads.melee.encoding.layout import BINARY, PLAYERS, controller_slice, float_index, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig

CONTINUOUS_FIELDS: Final = ("percent", "x", "y", "shield")
VELOCITY_FIELDS: Final = ("speed_air_x", "speed_y", "speed_ground_x", "speed_attack_x", "speed_attack_y")
DYNAMICS_FIELDS: Final = ("hitlag", "stocks", "combo_count")


def _part(fields: tuple[str, ...]) -> slice:
    """Neighbouring columns of a player."""
    return slice(float_index(fields[0]), float_index(fields[-1]) + 1)


def _columns(fields: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(float_index(name, player) for player in PLAYERS for name in fields)


CONTINUOUS: Final = _part(CONTINUOUS_FIELDS)
VELOCITY: Final = _part(VELOCITY_FIELDS)
DYNAMICS: Final = _part(DYNAMICS_FIELDS)
BINARIES: Final = _part(BINARY)
POSITION: Final = _part(("x", "y"))
CONTROLLERS: Final = controller_slice(0)
CONTINUOUS_COLUMNS: Final = _columns(CONTINUOUS_FIELDS)
"""Predicted as a change against the frame before: percent, x, y, shield."""
VELOCITY_COLUMNS: Final = _columns(VELOCITY_FIELDS)
"""Predicted as a change against the frame before."""
DYNAMICS_COLUMNS: Final = _columns(DYNAMICS_FIELDS)
"""Predicted as values: hitlag, stocks, combo count."""
BINARY_COLUMNS: Final = _columns(BINARY)
"""Predicted as logits: facing, invulnerable, on ground."""
POSITION_COLUMNS: Final = _columns(("x", "y"))
CONTROL_COLUMNS: Final = tuple(
    column for player in PLAYERS for column in range(controller_slice(player).start, controller_slice(player).stop)
)
"""Both controllers of a frame: the inputs from the predicted frame."""
CONTROLS: Final = len(CONTROL_COLUMNS)
NUMBERS: Final = (
    ("continuous", len(CONTINUOUS_COLUMNS)),
    ("binary", len(BINARY_COLUMNS)),
    ("velocity", len(VELOCITY_COLUMNS)),
    ("dynamics", len(DYNAMICS_COLUMNS)),
)
"""Heads that give numbers, with their widths, in the order of existing checkpoints."""


class Category(NamedTuple):
    """A categorical column of each player that is predicted as logits."""

    name: str
    """The name in the head, ``p0_<name>_head``, and in the embedding table."""
    field: str
    """The int column of the frame, without the player."""

    @property
    def column(self) -> int:
        """The column among the ints of a player."""
        return int_index(self.field)

    @property
    def columns(self) -> tuple[int, int]:
        """Player 0's and player 1's columns in a frame."""
        return int_index(self.field, 0), int_index(self.field, 1)

    def vocabulary(self, encoding: EncodingConfig) -> int:
        """The number of its values."""
        return next(table.vocab for table in encoding.player_embeddings if table.name == self.name)


CATEGORIES: Final = (
    Category("action", "action"),
    Category("jumps", "jumps_left"),
    Category("l_cancel", "l_cancel"),
    Category("hurtbox", "hurtbox_state"),
    Category("ground", "ground"),
    Category("last_attack", "last_attack_landed"),
)


def outputs(encoding: EncodingConfig) -> int:
    """Numbers that a world model gives for a frame: 1,050 with the usual vocabularies."""
    logits = sum(category.vocabulary(encoding) for category in CATEGORIES)
    return sum(width for _, width in NUMBERS) + len(PLAYERS) * logits
