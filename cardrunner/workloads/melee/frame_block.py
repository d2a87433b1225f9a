"""Some frames in memory, on whatever device, that answer with examples: raw rows go in, windows are gathered there.

Shapes:
    B  examples of a batch    E  examples of the block    K  context frames    R  rows of memory    S  spans
"""

from __future__ import annotations

import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.workloads.melee.windows import MakeBatch, Where, Windows


class FrameBlock:
    """A batch dataset over stretches of games that lie behind one another.

    Args:
        floats: float32 (R, 56); the stretches fill its beginning.
        ints: int64 (R, 17), likewise.
        sizes: int64 (S,), examples of each stretch, each at least 1; a stretch has K rows more.
        context_len: K.
        make_batch: what an example is made of.
    """

    def __init__(self, floats: Tensor, ints: Tensor, sizes: Tensor, *, context_len: int, make_batch: MakeBatch) -> None:
        self.room = floats, ints
        """The memory, which a later block may overwrite."""
        self._make_batch, self._context_len = make_batch, context_len
        self._windows = Windows(floats, ints, context_len)
        self._length = int(sizes.sum())
        self._sizes = sizes.to(floats.device)
        self._ends = sizes.cumsum(0).to(floats.device)  # (S,) examples up to and including each stretch

    def __len__(self) -> int:
        return self._length

    def __getitems__(self, indices: Tensor) -> Batch:
        """Gathered where the frames are; nothing waits for the device.

        Args:
            indices: int32 or int64 (B,) on the frames' device, examples 0..E-1, which is not checked.
        """
        numbers = indices.to(torch.int64)
        stretch = torch.searchsorted(self._ends, numbers, right=True)
        beyond = self._ends[stretch] + (stretch + 1) * self._context_len  # (B,) rows up to and including the stretch
        rows = numbers + stretch * self._context_len
        first = beyond - self._sizes[stretch] - self._context_len
        return self._make_batch(self._windows, Where(rows, first, beyond))
