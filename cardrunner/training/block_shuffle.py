"""The order of an epoch that is read in sequence: pieces of groups in random order, in blocks, each block shuffled.

Groups (files, documents) are cut into pieces that are still long enough to be read in sequence. Laid end to
end in a keyed random order, the pieces form one line of all examples. Each process owns one stretch of the line
and walks it in blocks of `capacity` examples; within a block a permutation with a key of its own decides. So the order
of an epoch is a function of (seed, epoch, shard, position): any position can be entered after reading one block, every
example comes once, and no two processes share one.

Whole groups would be read a little faster; pieces mix several times as many groups in the same memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cardrunner.contracts import Batch, BatchDataset, GroupedDataset, Span
from cardrunner.training.device_copy import DeviceCopy
from cardrunner.training.order import Permutation, Shard, part_of
from cardrunner.training.prefetch import one_ahead

_CHUNK = 1 << 14
PIECE = 1024
"""Examples of a piece; of rows of 360 bytes these are reads of 139 and 229 KB."""


@dataclass(frozen=True)
class Block:
    """A section of the line.

    Attributes:
        spans: what to read; the examples of a block are numbered through in this order.
        size: examples in it.
        drawn: how many of them have been trained already.
        order: the permutation within the block; None keeps the order of the spans.
    """

    spans: tuple[Span, ...]
    size: int
    drawn: int
    order: Permutation | None

    def positions(self) -> Tensor:
        """The block's remaining examples, in training order: int64 (size - drawn,)."""
        places = torch.arange(self.drawn, self.size)
        if self.order is None or not len(places):
            return places
        return torch.cat([self.order(part) for part in torch.split(places, _CHUNK)])


@dataclass(frozen=True, eq=False)
class BlockOrder:
    """The blocks of one process in one epoch.

    Args:
        sizes: int64 (G,), examples of each group.
        capacity: examples of a block, at least 1.
        seed: of the run.
        epoch: which epoch's order.
        shard: this process's part.
        shuffled: False walks the groups and examples as they lie.
        piece: the most examples of a group that are kept together.
        stretch: the positions [first, beyond) of the line to walk; None: this process's part of the whole.
    """

    sizes: Tensor
    capacity: int
    seed: int = 0
    epoch: int = 0
    shard: Shard = field(default_factory=Shard)
    shuffled: bool = True
    piece: int = PIECE
    stretch: tuple[int, int] | None = None

    def blocks(self, start: int = 0) -> Iterator[Block]:
        """The remaining blocks of the epoch.

        Args:
            start: examples trained before in this epoch, by all processes.
        """
        line = self._line()
        first, beyond = self.stretch or part_of(0, line.length, self.shard)
        before = part_of(0, start, self.shard)
        done = before[1] - before[0]
        for low in range(first + done // self.capacity * self.capacity, beyond, self.capacity):
            high = min(low + self.capacity, beyond)
            yield Block(tuple(line.spans(low, high)), high - low, max(0, first + done - low), self._inside(low, high))

    def _line(self) -> _Line:
        counts = -(-self.sizes // self.piece)
        groups = torch.repeat_interleave(torch.arange(len(self.sizes)), counts)
        firsts = (torch.arange(len(groups)) - (counts.cumsum(0) - counts)[groups]) * self.piece
        sizes = (self.sizes[groups] - firsts).clamp(max=self.piece)
        if self.shuffled:
            order = Permutation.of(len(groups), seed=self.seed, epoch=self.epoch)(torch.arange(len(groups)))
            groups, firsts, sizes = groups[order], firsts[order], sizes[order]
        return _Line(groups, firsts, sizes.cumsum(0))

    def _inside(self, low: int, high: int) -> Permutation | None:
        if not self.shuffled:
            return None
        return Permutation.of(high - low, seed=self.seed, epoch=self.epoch, part=low + 1)


@dataclass(frozen=True, eq=False)
class _Line:
    """P pieces laid end to end: each one's group, its start in the group, and its end on the line."""

    groups: Tensor
    firsts: Tensor
    ends: Tensor

    @property
    def length(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def spans(self, low: int, high: int) -> Iterator[Span]:
        """The stretch [low, high), piece by piece."""
        number = int(torch.searchsorted(self.ends, low, right=True))
        start = int(self.ends[number - 1]) if number else 0
        while low < high:
            end = int(self.ends[number])
            shift = int(self.firsts[number]) - start
            yield Span(int(self.groups[number]), low + shift, min(end, high) + shift)
            low, start, number = min(end, high), end, number + 1


_Loaded = tuple[BatchDataset, Tensor]


def block_batches(
    dataset: GroupedDataset, blocks: Iterator[Block], sizes: Iterable[int], bus: DeviceCopy, *, ahead: bool
) -> Generator[Batch]:
    """Batches of the given sizes.

    Args:
        blocks: in the order of training; together at least sum(sizes) examples.
        bus: the copy to the device where batches are gathered.
        ahead: read the next block in a background thread while this one is trained; needs memory for a third block.
    """
    loaded: Iterator[_Loaded] = _read(dataset, blocks, bus, ahead=ahead)
    if ahead:
        loaded = one_ahead(loaded)
    source: BatchDataset = dataset
    left = torch.empty(0, dtype=torch.int64)
    for size in sizes:
        parts, missing = [], size
        while missing:
            if not len(left):
                bus.settle()  # the next block may overwrite this one
                source, left = next(loaded)
            taken, left = left[:missing], left[missing:]
            parts.append(source.__getitems__(taken))
            missing -= len(taken)
        yield _joined(parts) if parts else source.__getitems__(left[:0])


def _read(dataset: GroupedDataset, blocks: Iterator[Block], bus: DeviceCopy, *, ahead: bool) -> Iterator[_Loaded]:
    """Blocks with the positions to draw from them; the memory of a drained block is used again."""
    drained: BatchDataset | None = None
    newest: BatchDataset | None = None
    following = next(blocks, None)
    while (block := following) is not None:
        source = dataset.read(block.spans, bus, reuse=drained)
        following = next(blocks, None)
        if following is not None:
            dataset.foresee(following.spans)
        positions = block.positions()
        yield source, bus.send(positions.int() if bus.staged else positions)
        drained, newest = (newest, source) if ahead else (source, None)


def _joined(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
