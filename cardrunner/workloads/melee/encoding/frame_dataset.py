"""Datasets of examples over frames in memory on any device: raw rows are copied there, and windows gathered.

Shapes:
    B  examples of a batch    E  examples of the block    K  context frames    R  rows of memory    S  stretches
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cardrunner.contracts import Batch, BatchDataset, DeviceMemory, Span
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.layout import BYTES_PER_FRAME, FLOATS, INTS
from cardrunner.workloads.melee.encoding.row_reader import RowRange, RowReader
from cardrunner.workloads.melee.encoding.windows import Where, WindowExamples, Windows


class RowStretch(NamedTuple):
    """A run of examples of one game."""

    examples: int
    """At least 1."""
    rows: int
    """Rows that they use."""
    before: int
    """Of these, rows before the first context."""


class FrameBlock:
    """A batch dataset over stretches of games laid end to end.

    Args:
        floats: float32 (R, 56); the stretches fill its beginning.
        ints: int64 (R, 17), likewise.
        stretches: in the order of their rows.
        context_len: K.
        examples: how examples are made.
    """

    def __init__(
        self,
        floats: Tensor,
        ints: Tensor,
        stretches: Sequence[RowStretch],
        *,
        context_len: int,
        examples: WindowExamples,
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


_STAGED_ROWS = 131_072  # rows copied to another device at a time, 47 MB
_SLACK = 32  # blocks of equal size differ a little in rows; spare room lets each reuse the memory of the first


class FrameDataset:
    """A map-style dataset over some games that answers a whole batch at once.

    Args:
        data: opened files.
        games: which games, a range over all files; those of K frames or fewer have no example.
        context_len: K.
        examples: how examples are made, such as `player_examples`.
    """

    def __init__(self, data: EncodedData, games: range, *, context_len: int, examples: WindowExamples) -> None:
        self.context_len = context_len
        self.examples = examples
        self._first_rows = data.first_rows
        self._files = [Windows(file.floats, file.ints, context_len) for file in data.files]
        self._reader = RowReader(data)
        self._starts = data.offsets[games.start : games.stop]
        lengths = data.offsets[games.start + 1 : games.stop + 1] - self._starts
        self._counts = (lengths - context_len).clamp(min=0)
        self._ends = self._counts.cumsum(0)  # (G,) examples up to and including each game
        self._shifts = self._starts - (self._ends - self._counts)  # (G,) first row = example number + shift
        self._length = int(self._ends[-1]) if len(self._ends) else 0

    def __len__(self) -> int:
        return self._length

    def __getitems__(self, indices: Tensor) -> Batch:
        """One vectorised gather.

        Args:
            indices: int64 (B,), example numbers 0..len-1 in any order.

        Returns:
            a batch made by `examples`.
        """
        return self._gather(self._where(indices))

    def group_sizes(self) -> Tensor:
        """Examples of each game: int64 (G,)."""
        return self._counts

    def bytes_per_example(self) -> int:
        """A row, and an example's share in the first K rows of its game."""
        rows = self._length + self.context_len * int((self._counts > 0).sum())
        return -(-BYTES_PER_FRAME * rows // max(self._length, 1))

    def read(self, spans: Sequence[Span], bus: DeviceMemory, *, reuse: BatchDataset | None = None) -> FrameBlock:
        """The spans' frames, read once from the files and copied once to the device.

        Raises:
            EnvironmentFailed: a file cannot be read.
            IntegrityError: a file has been truncated since it was opened.
        """
        ranges = list(self._ranges(spans))
        rows = sum(beyond - first for first, beyond in ranges)
        floats, ints = _memory(rows, bus, reuse)
        filled = 0
        for part in _portions(ranges, _STAGED_ROWS if bus.staged else rows):
            place = slice(filled, filled + sum(beyond - first for first, beyond in part))
            bus.fill((floats[place], ints[place]), partial(self._reader.read, part))
            filled = place.stop
        stretches = [
            RowStretch(span.beyond - span.first, beyond - first, min(span.first, self.examples.before))
            for span, (first, beyond) in zip(spans, ranges, strict=True)
        ]
        return FrameBlock(floats, ints, stretches, context_len=self.context_len, examples=self.examples)

    def foresee(self, spans: Sequence[Span]) -> None:
        """Ask the system to begin reading ahead."""
        self._reader.foresee(list(self._ranges(spans)))

    def pack(self, indices: Tensor) -> Batch:
        """A batch with its categories as int16, the widest that any vocabulary needs; on the host."""
        floats, ints, *rest = self.__getitems__(indices)
        return floats, ints.short(), *rest

    def unpack(self, packed: Batch) -> Batch:
        """The inverse of `pack`, on any device."""
        floats, ints, *rest = packed
        return floats, ints.long(), *rest

    def _ranges(self, spans: Sequence[Span]) -> Iterator[RowRange]:
        """The rows that each span's examples use, over all files."""
        for span in spans:
            start, rows = int(self._starts[span.group]), int(self._counts[span.group]) + self.context_len
            first = max(span.first - self.examples.before, 0)
            beyond = min(span.beyond - 1 + self.context_len + self.examples.after, rows)
            yield start + first, start + beyond

    def rows(self, indices: Tensor) -> Tensor:
        """First context row of each example, over all files: int64 (B,); IndexError outside the dataset."""
        return self._where(indices).rows

    def _where(self, indices: Tensor) -> Where:
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < self._length:
            raise IndexError(f"example {int(indices.min())} to {int(indices.max())} of {self._length}")
        game = torch.searchsorted(self._ends, indices, right=True)
        starts = self._starts[game]
        return Where(indices + self._shifts[game], starts, starts + self._counts[game] + self.context_len)

    def _gather(self, where: Where) -> Batch:
        """The batch of some examples, each from its own file."""
        if len(self._files) == 1:
            return self.examples.make(self._files[0], where)
        owner = torch.searchsorted(self._first_rows, where.rows, right=True) - 1
        order = torch.argsort(owner, stable=True)
        counts = torch.bincount(owner, minlength=len(self._files)).tolist()
        groups = zip(*(torch.split(part.index_select(0, order), counts) for part in where), strict=True)
        parts = [
            self.examples.make(file, Where(*group).shifted(first))
            for file, group, first in zip(self._files, groups, self._first_rows.tolist(), strict=False)
        ]
        back = torch.argsort(order)
        return tuple(torch.cat(tensors).index_select(0, back) for tensors in zip(*parts, strict=True))


def _memory(rows: int, bus: DeviceMemory, reuse: BatchDataset | None) -> tuple[Tensor, Tensor]:
    """Memory for rows on the device: that of an earlier block if it is large enough."""
    if isinstance(reuse, FrameBlock) and len(reuse.room[0]) >= rows:
        return reuse.room
    room = rows + rows // _SLACK
    return bus.empty(room, FLOATS, dtype=torch.float32), bus.empty(room, INTS, dtype=torch.int64)


def _portions(ranges: Iterable[RowRange], rows: int) -> Iterator[list[RowRange]]:
    """Ranges grouped into portions of at most `rows` rows; a longer range forms a portion of its own."""
    part: list[RowRange] = []
    filled = 0
    for first, beyond in ranges:
        if part and filled + beyond - first > rows:
            yield part
            part, filled = [], 0
        part.append((first, beyond))
        filled += beyond - first
    if part:
        yield part


def split_games(games: int, share: float) -> tuple[range, range]:
    """The first ``int(games * share)`` games train, the rest validates."""
    border = int(games * share)
    return range(border), range(border, games)
