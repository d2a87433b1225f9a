"""Both players of consecutive frames in game units, as columns.

Shapes: n frames; 2 players; 3 likeliest actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from cardrunner.workloads.melee.encoding.layout import (
    BINARY,
    CONTINUOUS,
    CONTROLLER,
    FLOATS_PER_PLAYER,
    INTS_PER_PLAYER,
    PLAYER_INTS,
    PLAYERS,
    STAGE_COLUMN,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.plausible import scales_of
from cardrunner.workloads.melee.game.stage_table import StageGeometry
from cardrunner.workloads.melee.game.world import Floats, Ints

NEAR_BLAST_ZONE: Final = 30.0
DIGITS: Final = 4
LIKELIEST: Final = 3
_SURE: Final = 1e4
"""A logit so large that all others get probability 0."""

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PlayerColumns:
    """The players' state in some frames.

    Attributes:
        numbers: float64 (n, 2, 12), `CONTINUOUS` in game units.
        stocks: int64 (n, 2).
        flags: bool (n, 2, 3), `BINARY`.
        controller: float64 (n, 2, 13).
        categories: int64 (n, 2, 8), `PLAYER_INTS`.
    """

    numbers: Numbers
    stocks: Ints
    flags: Flags
    controller: Numbers
    categories: Ints

    @classmethod
    def of(cls, floats: Floats, ints: Ints, encoding: EncodingConfig) -> PlayerColumns:
        """Decode frames (n, 56), (n, 17) of finite values; numbers are rounded to four digits."""
        halves = floats.reshape(len(floats), len(PLAYERS), FLOATS_PER_PLAYER).astype(np.float64)
        scales = np.array([scales_of(encoding)[name] for name in CONTINUOUS])
        numbers = halves[..., : len(CONTINUOUS)] / scales
        controls = len(CONTINUOUS) + len(BINARY)
        return cls(
            _rounded(numbers),
            np.rint(numbers[..., CONTINUOUS.index("stocks")]).astype(np.int64),
            halves[..., len(CONTINUOUS) : controls] > 0.5,
            _rounded(halves[..., controls : controls + len(CONTROLLER)]),
            ints[:, :STAGE_COLUMN].reshape(len(ints), len(PLAYERS), INTS_PER_PLAYER),
        )

    def number(self, name: str) -> Numbers:
        """A column of `CONTINUOUS`, (n, 2)."""
        column: Numbers = self.numbers[..., CONTINUOUS.index(name)]
        return column

    def flag(self, name: str) -> Flags:
        """A column of `BINARY`, (n, 2)."""
        column: Flags = self.flags[..., BINARY.index(name)]
        return column

    def category(self, name: str) -> Ints:
        """A column of `PLAYER_INTS`, (n, 2)."""
        column: Ints = self.categories[..., PLAYER_INTS.index(name)]
        return column

    @property
    def last_stocks(self) -> tuple[int, int]:
        """Stocks of both players in the last frame."""
        first, second = self.stocks[-1].tolist()
        return first, second


@dataclass(frozen=True, eq=False)
class Predicted:
    """Derived values of frames that a world produced.

    Attributes:
        actions: int64 (n, 2, 3), the likeliest action states, likeliest first; (n, 2, 1) for a deterministic world.
        chances: float64, likewise.
        entropy: float64 (n, 2), nats.
        speed: float64 (n, 2), of the player's own movement, without knockback.
        off_stage: bool (n, 2).
        near_blast_zone: bool (n, 2).
    """

    actions: Ints
    chances: Numbers
    entropy: Numbers
    speed: Numbers
    off_stage: Flags
    near_blast_zone: Flags

    @classmethod
    def of(cls, columns: PlayerColumns, logits: Floats | None, stage: StageGeometry) -> Predicted:
        """Compute the derived values.

        Args:
            logits: (n, 2, actions) of the action states; None for a deterministic world.
            stage: where it is played.
        """
        actions, chances, entropy = _sure(columns) if logits is None else _likeliest(columns, logits)
        x, y, blast = columns.number("x"), columns.number("y"), stage.blast
        grounded = columns.flag("on_ground")
        across = np.where(grounded, columns.number("speed_ground_x"), columns.number("speed_air_x"))
        up = np.where(grounded, 0.0, columns.number("speed_y"))
        room = np.minimum.reduce([x - blast.left, blast.right - x, blast.top - y, y - blast.bottom])
        return cls(
            actions,
            chances,
            entropy,
            _rounded(np.hypot(across, up)),
            np.abs(x) > stage.half_width,
            room < NEAR_BLAST_ZONE,
        )


def _sure(columns: PlayerColumns) -> tuple[Ints, Numbers, Numbers]:
    actions = columns.category("action")
    return actions[..., None], np.ones((*actions.shape, 1)), np.zeros(actions.shape)


def _likeliest(columns: PlayerColumns, logits: Floats) -> tuple[Ints, Numbers, Numbers]:
    """The three likeliest actions with their chances, and the entropy; non-finite logits count as certain."""
    log_chances = torch.log_softmax(torch.from_numpy(_all_numbers(logits, columns.category("action"))), -1)
    top = torch.topk(log_chances, LIKELIEST)
    entropy = -(log_chances.exp() * log_chances).sum(-1)
    return top.indices.numpy(), _rounded(top.values.exp().numpy()), _rounded(entropy.numpy())


def _all_numbers(logits: Floats, taken: Ints) -> Floats:
    broken: Flags = np.asarray(~np.isfinite(logits).all(-1))
    if broken.any():
        logits = logits.copy()
        logits[broken] = 0.0
        frames, players = np.nonzero(broken)
        logits[frames, players, taken[broken]] = _SURE
    return logits


def _rounded(values: NDArray[Any]) -> Numbers:
    """Rounded to four digits; adding 0 turns -0 into 0."""
    rounded: Numbers = values.astype(np.float64).round(DIGITS) + 0.0
    return rounded
