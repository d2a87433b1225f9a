"""From an order to batches: the same ones in the same order, whoever gathers them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.training.feed import Feed
from cardrunner.training.order import epoch_batches

CPU = torch.device("cpu")


class Squares:
    """Answers a batch with the squares of its numbers; slowly where asked to."""

    def __init__(self, size: int = 100, *, seconds: float = 0.0, broken_at: int | None = None) -> None:
        self.size, self.seconds, self.broken_at = size, seconds, broken_at
        self.calls = 0
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, indices: Tensor) -> Batch:
        self.calls += 1
        self.threads.add(threading.current_thread().name.partition("_")[0])
        if self.calls == self.broken_at:
            raise ValueError("a bad row")
        time.sleep(self.seconds * (1 + self.calls % 3))
        return indices, indices**2


def order(batches: int = 10) -> Iterator[Tensor]:
    return epoch_batches(batches * 10, 10, seed=0, epoch=1, drop_last=True)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_the_given_order(workers: int) -> None:
    feed = Feed(Squares(seconds=0.001), device=CPU, workers=workers)
    for indices, batch in zip(order(), feed.batches(order()), strict=True):
        assert torch.equal(batch[0], indices)
        assert torch.equal(batch[1], indices**2)


def test_without_workers_the_calling_thread_gathers() -> None:
    dataset = Squares()
    list(Feed(dataset, device=CPU).batches(order()))
    assert dataset.threads == {"MainThread"}


def test_workers_stay_only_so_far_ahead() -> None:
    dataset = Squares()
    batches = Feed(dataset, device=CPU, workers=2).batches(order(50))
    next(batches)
    time.sleep(0.05)
    assert dataset.calls <= 5
    assert dataset.threads == {"feed"}


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    batches = Feed(Squares(seconds=0.001), device=CPU, workers=3).batches(order(50))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_dataset_reaches_the_caller(workers: int) -> None:
    with pytest.raises(ValueError, match="a bad row"):
        list(Feed(Squares(broken_at=4), device=CPU, workers=workers).batches(order()))


def test_waiting_is_measured() -> None:
    feed = Feed(Squares(seconds=0.002), device=CPU)
    list(feed.batches(order()))
    assert 0.03 < feed.wait_seconds < 1
