"""Some frames in memory, on whatever device, that answer with examples: raw rows go in, windows are gathered there.

Shapes:
    B  examples of a batch    E  examples of the block    K  context frames    R  rows of memory    S  stretches
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.workloads.melee.windows import Examples, Where, Windows


class Stretch(NamedTuple):
    """A run of examples of one game."""

    examples: int
    """At least 1."""
    rows: int
    """Rows that they look at."""
    before: int
    """Of these, rows before the first context."""


class FrameBlock:
    """A batch dataset over stretches of games that lie behind one another.

    Args:
        floats: float32 (R, 56); the stretches fill its beginning.
        ints: int64 (R, 17), likewise.
        stretches: in the order of their rows.
        context_len: K.
        examples: what they are made of.
    """

    def __init__(
        self, floats: Tensor, ints: Tensor, stretches: Sequence[Stretch], *, context_len: int, examples: Examples
    ) -> None:
        self.room = floats, ints
        """The memory, which a later block may overwrite."""
        self._examples = examples
        self._windows = Windows(floats, ints, context_len)
        counts, rows, before = torch.tensor([*stretches], dtype=torch.int64).view(-1, 3).unbind(1)
        self._length = int(counts.sum())
        beyond = rows.cumsum(0)
        first = beyond - rows
        # (S,) each: examples up to and including a stretch, its first row, the row after it, and what makes a row of
        # an example's number
        tables = (counts.cumsum(0), first, beyond, first + before - (counts.cumsum(0) - counts))
        self._ends, self._first, self._beyond, self._shifts = (table.to(floats.device) for table in tables)

    def __len__(self) -> int:
        return self._length

    def __getitems__(self, indices: Tensor) -> Batch:
        """Gathered where the frames are; nothing waits for the device.

        Args:
            indices: int32 or int64 (B,) on the frames' device, examples 0..E-1, which is not checked.
        """
        numbers = indices.to(torch.int64)
        stretch = torch.searchsorted(self._ends, numbers, right=True)
        where = Where(numbers + self._shifts[stretch], self._first[stretch], self._beyond[stretch])
        return self._examples.make(self._windows, where)
