"""Examples of a policy: K frames of a game and the controller of the frame after them.

Shapes:
    B  examples            K  context frames, oldest first
    G  games of a side     N  rows of a file

An example number becomes a row by one search over the games' running example counts; no list of examples exists, and
the files' tensors are only ever viewed and gathered from.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cardrunner.workloads.melee.encoded_data import EncodedData
from cardrunner.workloads.melee.layout import PlayerIndex, controller_slice
from cardrunner.workloads.melee.perspective import swap_floats, swap_ints

FrameBatch = tuple[Tensor, Tensor, Tensor]
"""float_ctx float32 (B, K, 56), int_ctx int64 (B, K, 17), the predicted player's half first; target float32 (B, 13)."""


class FrameDataset:
    """A map-style dataset over some games that answers a whole batch at once.

    Args:
        data: opened files.
        games: which games, a range over all files; those of K frames or fewer have no example.
        context_len: K.
        predict_player: whose controller is the target; for player 1 the halves of the context are swapped.
    """

    def __init__(self, data: EncodedData, games: range, *, context_len: int, predict_player: PlayerIndex) -> None:
        self.context_len = context_len
        self.predict_player = predict_player
        self._first_rows = data.first_rows
        self._files = [_Windows(file.floats, file.ints, context_len) for file in data.files]
        self._target_columns = controller_slice(predict_player)
        starts = data.offsets[games.start : games.stop]
        lengths = data.offsets[games.start + 1 : games.stop + 1] - starts
        counts = (lengths - context_len).clamp(min=0)
        self._ends = counts.cumsum(0)  # (G,) examples up to and including each game
        self._shifts = starts - (self._ends - counts)  # (G,) first row of a context = example number + shift
        self._length = int(self._ends[-1]) if len(self._ends) else 0

    def __len__(self) -> int:
        return self._length

    def __getitems__(self, indices: Tensor) -> FrameBatch:
        """One vectorised gather.

        Args:
            indices: int64 (B,), example numbers 0..len-1 in any order.

        Returns:
            see `FrameBatch`.
        """
        floats, ints, following = self._gather(self.rows(indices))
        target = following[:, self._target_columns].contiguous()
        if self.predict_player == 1:
            return swap_floats(floats), swap_ints(ints), target
        return floats, ints, target

    def rows(self, indices: Tensor) -> Tensor:
        """First context row of each example, over all files: int64 (B,); IndexError outside the dataset."""
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < self._length:
            raise IndexError(f"example {int(indices.min())} to {int(indices.max())} of {self._length}")
        game = torch.searchsorted(self._ends, indices, right=True)
        return indices + self._shifts[game]

    def _gather(self, rows: Tensor) -> FrameBatch:
        """Contexts of first rows (B,): floats, ints and the frame that follows, float32 (B, 56)."""
        if len(self._files) == 1:
            return self._files[0].gather(rows)
        owner = torch.searchsorted(self._first_rows, rows, right=True) - 1
        order = torch.argsort(owner, stable=True)
        counts = torch.bincount(owner, minlength=len(self._files)).tolist()
        groups = torch.split(rows.index_select(0, order), counts)
        parts = [
            file.gather(group - first)
            for file, group, first in zip(self._files, groups, self._first_rows.tolist(), strict=False)
        ]
        back = torch.argsort(order)
        floats, ints, following = (torch.cat(tensors).index_select(0, back) for tensors in zip(*parts, strict=True))
        return floats, ints, following


class _Windows:
    """Every K consecutive rows of one file as one long row: overlapping views, no copy."""

    def __init__(self, floats: Tensor, ints: Tensor, context_len: int) -> None:
        self._floats, self._ints, self._context_len = floats, ints, context_len
        self._float_windows = _overlapping(floats, context_len)
        self._int_windows = _overlapping(ints, context_len)

    def gather(self, rows: Tensor) -> FrameBatch:
        """Contexts that begin at rows (B,) of this file, and the floats of the frame after each."""
        size = (len(rows), self._context_len)
        return (
            self._float_windows.index_select(0, rows).view(*size, self._floats.shape[1]),
            self._int_windows.index_select(0, rows).view(*size, self._ints.shape[1]),
            self._floats.index_select(0, rows + self._context_len),
        )


def _overlapping(table: Tensor, rows: int) -> Tensor:
    """A table (N, W) as (N - rows + 1, rows * W), each row sharing its memory with the next."""
    count, width = table.shape
    return table.as_strided((max(count - rows + 1, 0), rows * width), (width, 1), table.storage_offset())


def split_games(games: int, share: float) -> tuple[range, range]:
    """The first ``int(games * share)`` games train, the rest validates."""
    border = int(games * share)
    return range(border), range(border, games)
