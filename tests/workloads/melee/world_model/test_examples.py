"""Examples of a world model are what the definition says, however the games are read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch

from cardrunner.contracts import Span
from cardrunner.training.device_copy import DeviceCopy
from cardrunner.training.feed import Feed
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset
from cardrunner.workloads.melee.encoding.layout import BYTES_PER_FRAME
from cardrunner.workloads.melee.world_model.examples import WorldBatch, world_examples

K = 4
CPU = torch.device("cpu")


@pytest.fixture
def data(make_file: Callable[..., Path]) -> EncodedData:
    """Six games in two files, one of them without an example."""
    return open_data([make_file(30, 4, 20), make_file(25, 9, 40, name="b.pt", seed=7)])


def dataset(data: EncodedData, before: int, after: int) -> FrameDataset:
    return FrameDataset(data, range(6), context_len=K, examples=world_examples(before=before, after=after))


@pytest.mark.parametrize(("before", "after"), list(product([0, 3], [1, 6])))
def test_every_example_is_what_the_definition_says(data: EncodedData, before: int, after: int) -> None:
    batch = WorldBatch(*dataset(data, before, after).__getitems__(torch.arange(104)))
    number = 0
    for game in range(data.games):
        floats, ints = data.game(game)
        for t in range(K, len(floats)):
            first, beyond = max(t - K - before, 0), min(t + after, len(floats))
            assert int(batch.before[number]) == t - K - first
            assert int(batch.after[number]) == beyond - t
            place = slice(before - (t - K - first), before + K + beyond - t)
            assert torch.equal(batch.floats[number, place], floats[first:beyond])
            assert torch.equal(batch.ints[number, place], ints[first:beyond])
            number += 1
    assert number == len(batch.floats)
    assert not bool(batch.share.any())


def seen(batch: WorldBatch, before: int) -> list[torch.Tensor]:
    """A batch with zeros in the rows that do not count, which hold anything, NaN too, at the end of a block."""
    step = torch.arange(batch.floats.shape[1])
    counts = (step >= (before - batch.before)[:, None]) & (step < (before + K + batch.after)[:, None])
    floats, ints = (torch.where(counts[..., None], part, 0) for part in (batch.floats, batch.ints))
    return [floats, ints, batch.before, batch.after]


@pytest.mark.parametrize("staged", [False, True])
def test_a_block_answers_as_the_files_do(data: EncodedData, staged: bool) -> None:
    games = dataset(data, 3, 6)
    spans = [Span(4, 1, 5), Span(0, 0, 10), Span(5, 2, 36), Span(0, 10, 26)]
    block = games.read(spans, DeviceCopy(CPU, staged=staged))
    firsts = games.group_sizes().cumsum(0) - games.group_sizes()
    numbers = torch.cat([torch.arange(span.first, span.beyond) + firsts[span.group] for span in spans])
    order = torch.randperm(len(block), generator=torch.Generator().manual_seed(0))
    found, expected = WorldBatch(*block.__getitems__(order)), WorldBatch(*games.__getitems__(numbers[order]))
    for one, other in zip(seen(found, 3), seen(expected, 3), strict=True):
        assert torch.equal(one, other)


def test_validation_in_blocks_sees_what_validation_at_once_sees(data: EncodedData) -> None:
    games = dataset(data, 0, 6)
    blocks = Feed(games, device=CPU, block_bytes=BYTES_PER_FRAME * 20).in_order(8)
    for found, expected in zip(blocks, Feed(games, device=CPU).in_order(8), strict=True):
        for one, other in zip(seen(WorldBatch(*found), 0), seen(WorldBatch(*expected), 0), strict=True):
            assert torch.equal(one, other)


def test_a_packed_batch_is_smaller_and_the_same(data: EncodedData) -> None:
    games, indices = dataset(data, 3, 1), torch.arange(16)
    packed = games.pack(indices)
    assert sum(part.nbytes for part in packed) < 16 * ((K + 4) * (56 * 4 + 17 * 2) + 32)
    for found, expected in zip(games.unpack(packed), games.__getitems__(indices), strict=True):
        assert torch.equal(found, expected)
