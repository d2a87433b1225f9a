from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from cardrunner.contracts import Batch, BatchDataset, Span
from cardrunner.training.device_copy import DeviceCopy


class Resident:
    """Numbers in memory, with their squares."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitems__(self, indices: Tensor) -> Batch:
        found = self.values[indices.long()]
        return found, found**2


class Documents(Resident):
    """The numbers 0.. in groups; remembers what was read, and reuses memory as it may."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(torch.arange(sum(sizes)))
        self.sizes = torch.tensor(sizes)
        self.reads: list[int] = []
        self.foreseen: list[int] = []
        self.reused = 0

    def group_sizes(self) -> Tensor:
        return self.sizes

    def bytes_per_example(self) -> int:
        return 8

    def read(self, spans: Sequence[Span], bus: DeviceCopy, *, reuse: BatchDataset | None = None) -> Resident:
        numbers = self._numbers(spans)
        self.reads.append(len(numbers))
        memory = bus.empty(len(numbers), dtype=torch.int64)
        if isinstance(reuse, Resident) and len(reuse) >= len(numbers):
            memory, self.reused = reuse.values[: len(numbers)], self.reused + 1
        bus.fill([memory], partial(_copy, numbers))
        return Resident(memory)

    def foresee(self, spans: Sequence[Span]) -> None:
        self.foreseen.append(len(self._numbers(spans)))

    def _numbers(self, spans: Sequence[Span]) -> Tensor:
        firsts = self.sizes.cumsum(0) - self.sizes
        return torch.cat([torch.arange(span.first, span.beyond) + firsts[span.group] for span in spans])


def _copy(numbers: Tensor, targets: Sequence[Tensor]) -> None:
    targets[0].copy_(numbers)


class Packed(Resident):
    """Sends its numbers in two bytes each."""

    def pack(self, indices: Tensor) -> Batch:
        return (self.values[indices].short(),)

    def unpack(self, packed: Batch) -> Batch:
        return packed[0].long(), packed[0].long() ** 2


@pytest.fixture
def documents() -> Documents:
    """A hundred numbers in seven groups."""
    return Documents(20, 1, 30, 9, 0, 25, 15)


@pytest.fixture
def packed() -> Packed:
    """A hundred numbers."""
    return Packed(torch.arange(100))
