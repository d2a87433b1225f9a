"""Some frames in memory, on whatever device, that answer with examples: raw rows go in, windows are gathered there.

Shapes:
    B  examples of a batch    E  examples of the block    K  context frames    R  rows of memory    S  spans
"""

from __future__ import annotations

import torch
from torch import Tensor

from cardrunner.workloads.melee.layout import PlayerIndex
from cardrunner.workloads.melee.windows import FrameBatch, Windows, example_of


class FrameBlock:
    """A batch dataset over stretches of games that lie behind one another.

    Args:
        floats: float32 (R, 56); the stretches fill its beginning.
        ints: int64 (R, 17), likewise.
        sizes: int64 (S,), examples of each stretch, each at least 1; a stretch has K rows more.
        context_len: K.
        predict_player: whose controller is the target.
    """

    def __init__(
        self, floats: Tensor, ints: Tensor, sizes: Tensor, *, context_len: int, predict_player: PlayerIndex
    ) -> None:
        self.room = floats, ints
        """The memory, which a later block may overwrite."""
        self._player = predict_player
        self._windows = Windows(floats, ints, context_len)
        self._length = int(sizes.sum())
        self._ends = sizes.cumsum(0).to(floats.device)  # (S,) examples up to and including each stretch
        self._shifts = (torch.arange(len(sizes)) * context_len).to(floats.device)

    def __len__(self) -> int:
        return self._length

    def __getitems__(self, indices: Tensor) -> FrameBatch:
        """Gathered where the frames are; nothing waits for the device.

        Args:
            indices: int32 or int64 (B,) on the frames' device, examples 0..E-1, which is not checked.
        """
        numbers = indices.to(torch.int64)
        stretch = torch.searchsorted(self._ends, numbers, right=True)
        return example_of(self._windows.gather(numbers + self._shifts[stretch]), self._player)
