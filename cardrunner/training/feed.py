"""From a dataset and an order to batches on the device.

On the CPU a batch is gathered in the training thread: threads would only take cores from the arithmetic. With `workers`
or for a GPU, background threads prefetch a few batches, in order. Data comes in one of three ways:

    resident    a GPU holds the whole dataset; it is copied once, and batches are gathered there
    blocks      each block is read and copied once; batches are gathered where it lies
    batches     each batch is gathered by itself; for a GPU into page-locked memory, packed if the dataset can,
                and copied while the batch before it is trained
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice

import torch
from torch import Tensor

from cardrunner.contracts import Batch, BatchDataset, GroupedDataset, PackedDataset, Span
from cardrunner.training.block_shuffle import BlockOrder, block_batches
from cardrunner.training.device_copy import DeviceCopy
from cardrunner.training.order import Shard, batch_sizes, epoch_batches, part_of, sequential_batches
from cardrunner.training.prefetch import copied_ahead, in_threads, one_ahead

_RESIDENT_SHARE = 0.5
_SENT_TOGETHER = 16  # batches
_SEQUENTIAL_BYTES = 32 << 20  # size of an unshuffled block; larger ones gain nothing


class Feed:
    """Hands out the batches of a dataset.

    Args:
        dataset: answers a whole batch at once; from several threads at the same time where `workers` is above 1.
        device: where the batches go.
        workers: background threads; 0 gathers in the calling thread.
        block_bytes: shuffle a `GroupedDataset` in blocks of this size; None: over the whole data.
        bus: the copy to the device; default: a new one.
    """

    def __init__(
        self,
        dataset: BatchDataset,
        *,
        device: torch.device,
        workers: int = 0,
        block_bytes: int | None = None,
        bus: DeviceCopy | None = None,
    ) -> None:
        self.dataset = dataset
        self.device = device
        self.bus = bus or DeviceCopy(device)
        self.workers = max(workers, 1) if device.type == "cuda" else workers
        self.block_bytes = block_bytes
        self.wait_seconds = 0.0
        """Time that the caller has spent waiting for batches."""
        self._resident: BatchDataset | None = None

    def epoch(
        self, batch_size: int, *, seed: int, epoch: int, drop_last: bool, start: int = 0, shard: Shard | None = None
    ) -> Iterator[Batch]:
        """The shuffled batches of an epoch from a position on; arguments as for `epoch_batches`."""
        examples, part = len(self.dataset), shard or Shard()
        if self.block_bytes is not None and isinstance(self.dataset, GroupedDataset):
            capacity = _capacity(self.dataset, self.block_bytes)
            order = BlockOrder(self.dataset.group_sizes(), capacity, seed=seed, epoch=epoch, shard=part)
            sizes = batch_sizes(examples, batch_size, drop_last=drop_last, start=start, shard=part)
            return self._timed(self._from_blocks(self.dataset, order, sizes, start=start))
        indices = epoch_batches(
            examples, batch_size, seed=seed, epoch=epoch, drop_last=drop_last, start=start, shard=part
        )
        return self.batches(indices)

    def in_order(self, batch_size: int, *, shard: Shard | None = None) -> Iterator[Batch]:
        """All examples in file order; with several processes each gets consecutive whole batches."""
        examples = len(self.dataset)
        low, high = part_of(0, -(-examples // batch_size), shard or Shard())
        first, beyond = low * batch_size, min(high * batch_size, examples)
        if isinstance(self.dataset, GroupedDataset) and self._reads_in_sequence():
            capacity = _capacity(self.dataset, min(self.block_bytes or _SEQUENTIAL_BYTES, _SEQUENTIAL_BYTES))
            order = BlockOrder(self.dataset.group_sizes(), capacity, shuffled=False, stretch=(first, beyond))
            sizes = batch_sizes(beyond - first, batch_size, drop_last=False)
            return self._timed(self._from_blocks(self.dataset, order, sizes))
        return self.batches(sequential_batches(beyond, batch_size, start=first))

    def batches(self, order: Iterable[Tensor]) -> Iterator[Batch]:
        """Batches in a given order.

        Args:
            order: int64 (B,) example numbers of each batch.
        """
        if (resident := self._moved()) is not None:
            return self._timed(resident.__getitems__(indices) for indices in self._sent(order))
        return self._timed(self._arriving(self._gathered(order)))

    def _sent(self, order: Iterable[Tensor]) -> Generator[Tensor]:
        """The example numbers on the device, many batches at a time, the next ones made in the background."""
        rest = iter(order)
        chunks = iter(lambda: list(islice(rest, _SENT_TOGETHER)), [])
        with closing(one_ahead(chunks)) as ahead:
            for chunk in ahead:
                numbers = self.bus.send(torch.cat(chunk).int())
                yield from torch.split(numbers, [len(indices) for indices in chunk])

    def _reads_in_sequence(self) -> bool:
        return self.block_bytes is not None or (self.bus.staged and self._moved() is None)

    def _from_blocks(
        self, dataset: GroupedDataset, order: BlockOrder, sizes: Iterator[int], *, start: int = 0
    ) -> Generator[Batch]:
        return block_batches(dataset, order.blocks(start), sizes, self.bus, ahead=self.workers > 0)

    def _moved(self) -> BatchDataset | None:
        """The dataset on the device if it fits there; copied once."""
        dataset, room = self.dataset, self.bus.free_bytes() * _RESIDENT_SHARE
        if self._resident is not None or self.block_bytes is not None or not room:
            return self._resident
        if isinstance(dataset, GroupedDataset) and len(dataset) * dataset.bytes_per_example() < room:
            self._resident = dataset.read(_everything(dataset), self.bus)
        return self._resident

    def _gathered(self, order: Iterable[Tensor]) -> Generator[Batch]:
        if self.workers:
            return in_threads(self._gather, order, workers=self.workers)
        return (self._gather(indices) for indices in order)

    def _gather(self, indices: Tensor) -> Batch:
        packing = self._packing()
        batch = packing.pack(indices) if packing else self.dataset.__getitems__(indices)
        return tuple(tensor.pin_memory() for tensor in batch) if self.device.type == "cuda" else batch

    def _packing(self) -> PackedDataset | None:
        return self.dataset if self.bus.staged and isinstance(self.dataset, PackedDataset) else None

    def _arriving(self, batches: Generator[Batch]) -> Generator[Batch]:
        """The batches on the device, unpacked."""
        packing = self._packing()
        if self.device.type == "cuda":
            batches = copied_ahead(batches, self.device)
        with closing(batches):
            for batch in batches:
                if self.bus.staged:
                    self.bus.sent += sum(tensor.nbytes for tensor in batch)
                yield packing.unpack(batch) if packing else batch

    def _timed(self, batches: Generator[Batch]) -> Iterator[Batch]:
        with closing(batches):
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                self.wait_seconds += time.perf_counter() - began
                if batch is None:
                    return
                yield batch


def _capacity(dataset: GroupedDataset, block_bytes: int) -> int:
    return max(1, block_bytes // dataset.bytes_per_example())


def _everything(dataset: GroupedDataset) -> tuple[Span, ...]:
    return tuple(Span(group, 0, size) for group, size in enumerate(dataset.group_sizes().tolist()) if size)
