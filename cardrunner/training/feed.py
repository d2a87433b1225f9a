"""From a dataset and an order to batches on the device.

On the CPU a batch is gathered in the training thread: threads would only take cores from the arithmetic. With `workers`
or towards a GPU, background threads gather ahead of the training, in order, in a queue that is never longer than two
batches a thread; towards a GPU they gather into pinned memory, and the copy of the next batch overlaps the step on this
one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice

import torch
from torch import Tensor

from cardrunner.contracts import Batch, BatchDataset

_AHEAD = 2
_Batches = Generator[Batch, None, None]


class Feed:
    """Hands out the batches of a dataset.

    Args:
        dataset: answers a whole batch at once; from several threads at the same time where `workers` is above 1.
        device: where the batches go.
        workers: background threads; 0 gathers in the calling thread.
    """

    def __init__(self, dataset: BatchDataset, *, device: torch.device, workers: int = 0) -> None:
        self.dataset = dataset
        self.device = device
        self.workers = max(workers, 1) if device.type == "cuda" else workers
        self.wait_seconds = 0.0
        """Time that the caller has spent waiting for batches."""

    def batches(self, order: Iterable[Tensor]) -> Iterator[Batch]:
        """The batches in this order.

        Args:
            order: int64 (B,) example numbers of each batch.
        """
        batches = self._gathered(order)
        if self.device.type == "cuda":
            batches = _copied_ahead(batches, self.device)
        with closing(batches):
            while (batch := self._timed(batches)) is not None:
                yield batch

    def _gathered(self, order: Iterable[Tensor]) -> _Batches:
        if self.workers:
            return _in_threads(self._gather, order, workers=self.workers)
        return (self._gather(indices) for indices in order)

    def _gather(self, indices: Tensor) -> Batch:
        batch = self.dataset.__getitems__(indices)
        return tuple(tensor.pin_memory() for tensor in batch) if self.device.type == "cuda" else batch

    def _timed(self, batches: Iterator[Batch]) -> Batch | None:
        began = time.perf_counter()
        batch = next(batches, None)
        self.wait_seconds += time.perf_counter() - began
        return batch


def _in_threads(gather: Callable[[Tensor], Batch], order: Iterable[Tensor], *, workers: int) -> _Batches:
    """Gather ahead, in order; leaving early drops what was not begun."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="feed")
    try:
        rest = iter(order)
        waiting: deque[Future[Batch]] = deque(
            pool.submit(gather, indices) for indices in islice(rest, workers * _AHEAD)
        )
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(gather, indices) for indices in islice(rest, 1))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _copied_ahead(batches: Iterator[Batch], device: torch.device) -> _Batches:
    """Copy the next batch to the GPU on a stream of its own while the current one is trained."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ahead: tuple[Batch, torch.cuda.Event] | None = None
    for batch in batches:
        with torch.cuda.stream(stream):
            copied = tuple(tensor.to(device, non_blocking=True) for tensor in batch)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(stream)
        if ahead is not None:
            yield _arrived(*ahead)
        ahead = copied, arrived
    if ahead is not None:
        yield _arrived(*ahead)


def _arrived(batch: Batch, event: torch.cuda.Event) -> Batch:
    stream = torch.cuda.current_stream(batch[0].device)
    stream.wait_event(event)
    for tensor in batch:
        tensor.record_stream(stream)  # or its memory could be handed out again while this stream still reads it
    return batch
