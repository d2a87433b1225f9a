"""Frames that were read once answer as the files do, on whatever device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cardrunner.contracts import GroupedDataset, PackedDataset, Span
from cardrunner.training.device_copy import DeviceCopy
from cardrunner.training.feed import Feed
from cardrunner.workloads.melee.encoding import frame_dataset
from cardrunner.workloads.melee.encoding.encoded_data import open_data
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset
from cardrunner.workloads.melee.encoding.layout import BYTES_PER_FRAME, PlayerIndex
from cardrunner.workloads.melee.encoding.windows import player_examples

K = 4
CPU = torch.device("cpu")


@pytest.fixture
def make_dataset(make_file: Callable[..., Path]) -> Callable[..., FrameDataset]:
    """Six games in two files, one of them without an example."""
    paths = [make_file(30, 4, 20), make_file(25, 9, 40, name="b.pt", seed=7)]

    def make(player: PlayerIndex = 0) -> FrameDataset:
        return FrameDataset(open_data(paths), range(6), context_len=K, examples=player_examples(player))

    return make


@pytest.mark.parametrize("player", [0, 1])
@pytest.mark.parametrize("staged", [False, True])
def test_a_block_answers_as_the_dataset_does(
    make_dataset: Callable[..., FrameDataset],
    player: PlayerIndex,
    staged: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_dataset, "_STAGED_ROWS", 15)
    dataset, bus = make_dataset(player), DeviceCopy(CPU, staged=staged)
    spans = [Span(4, 1, 5), Span(0, 0, 26), Span(5, 30, 36)]
    block = dataset.read(spans, bus)
    firsts = dataset.group_sizes().cumsum(0) - dataset.group_sizes()
    numbers = torch.cat([torch.arange(span.first, span.beyond) + firsts[span.group] for span in spans])
    order = torch.randperm(len(block), generator=torch.Generator().manual_seed(0))
    for found, expected in zip(block.__getitems__(order), dataset.__getitems__(numbers[order]), strict=True):
        assert torch.equal(found, expected)
        assert found.dtype == expected.dtype
    assert bus.sent == (BYTES_PER_FRAME * (36 + 3 * K) if staged else 0)


def test_a_whole_epoch_in_blocks_is_made_of_the_examples_of_the_files(
    make_dataset: Callable[..., FrameDataset],
) -> None:
    dataset = make_dataset()
    feed = Feed(dataset, device=CPU, block_bytes=BYTES_PER_FRAME * 30)
    batches = list(feed.epoch(8, seed=1, epoch=1, drop_last=False))
    found = {tuple(row) for floats, _, target in batches for row in torch.cat((floats[:, -1], target), 1).tolist()}
    floats, _, target = dataset.__getitems__(torch.arange(len(dataset)))
    assert found == {tuple(row) for row in torch.cat((floats[:, -1], target), 1).tolist()}
    assert sum(len(batch[0]) for batch in batches) == len(dataset) == len(found)
    for batch, plain in zip(feed.in_order(8), Feed(dataset, device=CPU).in_order(8), strict=True):
        assert all(torch.equal(one, other) for one, other in zip(batch, plain, strict=True))


def test_memory_is_used_again_and_never_grows(make_dataset: Callable[..., FrameDataset]) -> None:
    dataset, bus = make_dataset(), DeviceCopy(CPU)
    block = dataset.read([Span(0, 0, 20)], bus)
    again = dataset.read([Span(5, 10, 28)], bus, reuse=block)
    assert again.room[0].data_ptr() == block.room[0].data_ptr()
    larger = dataset.read([Span(5, 0, 36)], bus, reuse=again)
    assert larger.room[0].data_ptr() != block.room[0].data_ptr()


def test_a_packed_batch_is_smaller_and_the_same(make_dataset: Callable[..., FrameDataset]) -> None:
    dataset, indices = make_dataset(1), torch.arange(16)
    batch, packed = dataset.__getitems__(indices), dataset.pack(indices)
    assert sum(tensor.nbytes for tensor in packed) == 16 * (K * (56 * 4 + 17 * 2) + 13 * 4)
    for found, expected in zip(dataset.unpack(packed), batch, strict=True):
        assert torch.equal(found, expected)


def test_an_example_takes_about_a_frame(make_dataset: Callable[..., FrameDataset]) -> None:
    dataset = make_dataset()
    assert isinstance(dataset, GroupedDataset)
    assert isinstance(dataset, PackedDataset)
    assert dataset.group_sizes().tolist() == [26, 0, 16, 21, 5, 36]
    assert dataset.bytes_per_example() == -(-BYTES_PER_FRAME * (104 + 5 * K) // 104)
