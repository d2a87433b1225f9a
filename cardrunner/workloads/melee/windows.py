"""Windows over a table of frames, and the examples made of them. Everything here works on any device.

Shapes:
    B  examples            K  context frames, oldest first            N  rows of a table
"""

from __future__ import annotations

from torch import Tensor

from cardrunner.workloads.melee.layout import PlayerIndex, controller_slice
from cardrunner.workloads.melee.perspective import swap_floats, swap_ints

FrameBatch = tuple[Tensor, Tensor, Tensor]
"""float_ctx float32 (B, K, 56), int_ctx int64 (B, K, 17), the predicted player's half first; target float32 (B, 13)."""


class Windows:
    """Every K consecutive rows as one long row: overlapping views, no copy.

    Args:
        floats: float32 (N, 56), contiguous rows.
        ints: int64 (N, 17), likewise.
        context_len: K.
    """

    def __init__(self, floats: Tensor, ints: Tensor, context_len: int) -> None:
        self._floats, self._ints, self._context_len = floats, ints, context_len
        self._float_windows = _overlapping(floats, context_len)
        self._int_windows = _overlapping(ints, context_len)

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Contexts that begin at rows (B,): floats (B, K, 56), ints (B, K, 17), and the floats after them (B, 56)."""
        size = (len(rows), self._context_len)
        return (
            self._float_windows.index_select(0, rows).view(*size, self._floats.shape[1]),
            self._int_windows.index_select(0, rows).view(*size, self._ints.shape[1]),
            self._floats.index_select(0, rows + self._context_len),
        )


def example_of(gathered: tuple[Tensor, Tensor, Tensor], player: PlayerIndex) -> FrameBatch:
    """What `Windows.gather` gave, as a player sees it."""
    floats, ints, following = gathered
    target = following[:, controller_slice(player)].contiguous()
    if player == 1:
        return swap_floats(floats), swap_ints(ints), target
    return floats, ints, target


def _overlapping(table: Tensor, rows: int) -> Tensor:
    """A table (N, W) as (N - rows + 1, rows * W), each row sharing its memory with the next."""
    count, width = table.shape
    return table.as_strided((max(count - rows + 1, 0), rows * width), (width, 1), table.storage_offset())
