"""Prefetching: doing work before it is needed, gathering in threads, reading the next block, copying the next batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from cardrunner.contracts import Batch

T = TypeVar("T")
_AHEAD = 2


def in_threads(gather: Callable[[Tensor], Batch], order: Iterable[Tensor], *, workers: int) -> Generator[Batch]:
    """Gather ahead, in order, at most two batches per thread; leaving early drops batches not yet begun."""
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


def one_ahead(items: Iterator[T]) -> Generator[T]:
    """The same items, each made in a background thread while the one before it is used."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="feed")
    try:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def copied_ahead(batches: Iterator[Batch], device: torch.device) -> Generator[Batch]:
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
        tensor.record_stream(stream)  # otherwise its memory could be reused while this stream still reads it
    return batch
