"""Windows of frames as either player sees them: one policy plays both slots. The stage stays in place.

Works on anything whose last axis is the 56 floats or 17 ints of frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.workloads.melee.encoding.layout import FLOATS_PER_PLAYER, INTS_PER_PLAYER, PlayerIndex, controller_slice


def swap_floats(floats: Tensor) -> Tensor:
    """(..., 56) with the players' halves exchanged; a copy."""
    return floats.roll(FLOATS_PER_PLAYER, dims=-1)


def swap_ints(ints: Tensor) -> Tensor:
    """(..., 17) with the players' halves exchanged and the stage kept; a copy."""
    first, second = ints[..., :INTS_PER_PLAYER], ints[..., INTS_PER_PLAYER : 2 * INTS_PER_PLAYER]
    return torch.cat([second, first, ints[..., 2 * INTS_PER_PLAYER :]], dim=-1)


FrameBatch = tuple[Tensor, Tensor, Tensor]
"""float_ctx float32 (B, K, 56), int_ctx int64 (B, K, 17), the predicted player's half first; target float32 (B, 13)."""


class Where(NamedTuple):
    """Examples of a table: int64 (B,) each, and no example reaches beyond its game."""

    rows: Tensor
    """First row of the context."""
    first: Tensor
    """First row of its game that is in the table."""
    beyond: Tensor
    """Row after the last one of its game that is in the table."""

    def shifted(self, rows: int) -> Where:
        """The same examples in a table that begins `rows` rows later."""
        return Where(*(part - rows for part in self))


class Windows:
    """Every K consecutive rows as one long row: overlapping views, no copy.

    Args:
        floats: float32 (N, 56), contiguous rows.
        ints: int64 (N, 17), likewise.
        context_len: K.
    """

    def __init__(self, floats: Tensor, ints: Tensor, context_len: int) -> None:
        self._floats, self._ints, self.context_len = floats, ints, context_len
        self._float_windows = _overlapping(floats, context_len)
        self._int_windows = _overlapping(ints, context_len)

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Contexts that begin at rows (B,): floats (B, K, 56), ints (B, K, 17), and the floats after them (B, 56)."""
        size = (len(rows), self.context_len)
        return (
            self._float_windows.index_select(0, rows).view(*size, self._floats.shape[1]),
            self._int_windows.index_select(0, rows).view(*size, self._ints.shape[1]),
            self._floats.index_select(0, rows + self.context_len),
        )

    def around(self, rows: Tensor, *, before: int, after: int) -> tuple[Tensor, Tensor]:
        """Contexts that begin at rows (B,), with some frames before and after them.

        A frame outside the table is replaced by the nearest one; the caller has to know which frames count.

        Returns:
            floats (B, before + K + after, 56) and ints (B, before + K + after, 17).
        """
        steps = torch.arange(-before, self.context_len + after, device=rows.device)
        every = (rows[:, None] + steps).clamp(0, len(self._floats) - 1).flatten()
        size = (len(rows), len(steps))
        return (
            self._floats.index_select(0, every).view(*size, self._floats.shape[1]),
            self._ints.index_select(0, every).view(*size, self._ints.shape[1]),
        )


@dataclass(frozen=True)
class WindowExamples:
    """The form of a model's examples: K frames of context, and some frames around them.

    Attributes:
        make: a batch of them; floats first, ints second, then anything else it needs, each with B first.
        before: frames before the context that an example uses, if its game has them.
        after: frames after the context that it uses; the first always exists.
    """

    make: Callable[[Windows, Where], Batch]
    before: int = 0
    after: int = 1


def player_examples(player: PlayerIndex) -> WindowExamples:
    """Examples of a policy, as a player sees them: batches are a `FrameBatch`."""
    return WindowExamples(partial(_player_batch, player=player))


def _player_batch(windows: Windows, where: Where, *, player: PlayerIndex) -> FrameBatch:
    floats, ints, following = windows.gather(where.rows)
    target = following[:, controller_slice(player)].contiguous()
    if player == 1:
        return swap_floats(floats), swap_ints(ints), target
    return floats, ints, target


def _overlapping(table: Tensor, rows: int) -> Tensor:
    """A table (N, W) as (N - rows + 1, rows * W), each row sharing its memory with the next."""
    count, width = table.shape
    return table.as_strided((max(count - rows + 1, 0), rows * width), (width, 1), table.storage_offset())
