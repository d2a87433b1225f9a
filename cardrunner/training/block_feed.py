"""From blocks to batches: blocks are read one after the other, batches drawn from them across their borders."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

import torch
from torch import Tensor

from cardrunner.contracts import Batch, BatchDataset, GroupedDataset
from cardrunner.training.ahead import one_ahead
from cardrunner.training.block_shuffle import Block
from cardrunner.training.bus import Bus

_Loaded = tuple[BatchDataset, Tensor]


def block_batches(
    dataset: GroupedDataset, blocks: Iterator[Block], sizes: Iterable[int], bus: Bus, *, ahead: bool
) -> Generator[Batch]:
    """Batches of the given sizes.

    Args:
        blocks: in the order of training; together at least sum(sizes) examples.
        bus: to the device where batches are gathered.
        ahead: read the next block in a background thread while this one is trained; takes the memory of a third.
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


def _read(dataset: GroupedDataset, blocks: Iterator[Block], bus: Bus, *, ahead: bool) -> Iterator[_Loaded]:
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
