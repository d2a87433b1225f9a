"""From an order to batches: the same ones in the same order, whoever gathers them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.training.device_copy import DeviceCopy
from cardrunner.training.feed import Feed
from cardrunner.training.order import Shard, epoch_batches

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


# ------------------------------------------------------------ in blocks


def epoch_of(feed: Feed, batch_size: int = 7, *, start: int = 0, shard: Shard | None = None) -> list[list[int]]:
    batches = feed.epoch(batch_size, seed=3, epoch=1, drop_last=False, start=start, shard=shard)
    found = []
    for numbers, squares in batches:
        assert torch.equal(squares, numbers**2)
        found.append(numbers.tolist())
    return found


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("staged", [False, True])
def test_blocks_give_every_example_once_in_batches_of_one_size(documents: Any, workers: int, staged: bool) -> None:
    bus = DeviceCopy(CPU, staged=staged)
    feed = Feed(documents, device=CPU, workers=workers, block_bytes=8 * 24, bus=bus)
    batches = epoch_of(feed)
    assert [len(batch) for batch in batches] == [7] * 14 + [2]
    assert sorted(number for batch in batches for number in batch) == list(range(100))
    assert documents.reads == [24, 24, 24, 24, 4]
    assert documents.foreseen == [24, 24, 24, 4]
    assert documents.reused == (4 if not workers else 3)
    assert bus.sent == (100 * (8 + 4) if staged else 0)  # every number once, and 4 bytes of its place in the order


def test_blocks_are_the_same_for_whoever_reads_them(documents: Any) -> None:
    feeds = [Feed(documents, device=CPU, workers=workers, block_bytes=8 * 24) for workers in (0, 1)]
    staged = Feed(documents, device=CPU, block_bytes=8 * 24, bus=DeviceCopy(CPU, staged=True))
    assert epoch_of(feeds[0]) == epoch_of(feeds[1]) == epoch_of(staged)


@pytest.mark.parametrize("step", [0, 1, 3, 4, 13, 14])
def test_an_epoch_in_blocks_goes_on_exactly(documents: Any, step: int) -> None:
    feed = Feed(documents, device=CPU, block_bytes=8 * 24)
    assert epoch_of(feed, start=7 * step) == epoch_of(feed)[step:]


@pytest.mark.parametrize("batch_size", [1, 6, 40])
def test_the_processes_of_a_run_share_no_example_of_a_block(documents: Any, batch_size: int) -> None:
    parts = [epoch_of(Feed(documents, device=CPU, block_bytes=80), batch_size, shard=Shard(r, 3)) for r in range(3)]
    assert sorted(number for part in parts for batch in part for number in batch) == list(range(100))
    assert len({len(part) for part in parts}) == 1


@pytest.mark.parametrize("world", [1, 2, 3, 20])
@pytest.mark.parametrize("block_bytes", [None, 80])
def test_validation_is_in_file_order_for_one_process_or_many(
    documents: Any, world: int, block_bytes: int | None
) -> None:
    feed = Feed(documents, device=CPU, block_bytes=block_bytes)
    batches = [batch[0].tolist() for rank in range(world) for batch in feed.in_order(8, shard=Shard(rank, world))]
    assert batches == [list(range(first, min(first + 8, 100))) for first in range(0, 100, 8)]


def test_leaving_an_epoch_in_blocks_ends_its_thread(documents: Any) -> None:
    before = threading.active_count()
    batches = Feed(documents, device=CPU, workers=1, block_bytes=80).epoch(7, seed=0, epoch=1, drop_last=True)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


# ------------------------------------------------------------ towards a device, played by the CPU


def test_what_is_packed_is_unpacked_on_the_device_and_counted(packed: Any) -> None:
    feed = Feed(packed, device=CPU, bus=DeviceCopy(CPU, staged=True))
    assert sorted(number for batch in epoch_of(feed) for number in batch) == list(range(100))
    assert feed.bus.sent == 200


def test_a_device_with_room_holds_the_whole_dataset(documents: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = DeviceCopy(CPU, staged=True)
    monkeypatch.setattr(bus, "free_bytes", lambda: 2000)
    feed, plain = Feed(documents, device=CPU, bus=bus), Feed(documents, device=CPU)
    assert epoch_of(feed) == epoch_of(plain)
    assert bus.sent == 100 * (8 + 4)
    assert epoch_of(feed) == epoch_of(plain)
    assert bus.sent == 100 * (8 + 4 + 4)  # the second epoch sends only its order
    assert documents.reads == [100]


def test_a_device_without_room_gets_validation_in_blocks(documents: Any) -> None:
    feed = Feed(documents, device=CPU, bus=DeviceCopy(CPU, staged=True))
    assert [len(batch[0]) for batch in feed.in_order(30)] == [30, 30, 30, 10]
    assert documents.reads == [100]
