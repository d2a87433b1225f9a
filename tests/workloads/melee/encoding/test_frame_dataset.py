from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.encoded_file import EncodedFile
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset, split_games
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS, PlayerIndex
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.encoding.windows import player_examples
from tests.examples import examples

K = 4


def file_of(lengths: list[int], first: int) -> EncodedFile:
    """A file whose floats and ints name their row and column."""
    rows = torch.arange(first, first + sum(lengths))[:, None]
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    floats, ints = (rows * 100 + torch.arange(width) for width in (FLOATS, INTS))
    return EncodedFile(Path("none"), 0, floats.float(), ints, offsets, {}, EncodingConfig(), None)


def data_of(*files: list[int]) -> EncodedData:
    starts = [sum(map(sum, files[:number])) for number in range(len(files))]
    return EncodedData(tuple(file_of(lengths, start) for lengths, start in zip(files, starts, strict=True)))


def slowly(data: EncodedData, games: range, player: PlayerIndex) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Every example by the definition, one at a time."""
    found = []
    for game in games:
        floats, ints = data.game(game)
        for t in range(K, len(floats)):
            context, kinds, target = floats[t - K : t], ints[t - K : t], floats[t, 15:28]
            if player == 1:
                context = torch.cat([context[:, 28:], context[:, :28]], 1)
                kinds = torch.cat([kinds[:, 8:16], kinds[:, :8], kinds[:, 16:]], 1)
                target = floats[t, 43:56]
            found.append((context, kinds, target))
    return found


@pytest.mark.parametrize(("files", "player"), list(product([[[6, 9, 5]], [[6, 3], [4, 7, 5], [8]]], [0, 1])))
def test_every_example_is_what_the_definition_says(files: list[list[int]], player: PlayerIndex) -> None:
    data = data_of(*files)
    games = range(data.games)
    dataset = FrameDataset(data, games, context_len=K, examples=player_examples(player))
    expected = slowly(data, games, player)
    assert len(dataset) == len(expected)
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))
    batch = dataset.__getitems__(order)
    for tensor, parts in zip(batch, zip(*expected, strict=True), strict=True):
        assert torch.equal(tensor, torch.stack(parts)[order])
        assert tensor.is_contiguous()


@examples(60)
@given(
    files=st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=4), min_size=1, max_size=3), share=st.floats(0, 1)
)
def test_the_sides_of_a_split_never_share_a_frame_of_a_game(files: list[list[int]], share: float) -> None:
    data = data_of(*files)
    train, validation = split_games(data.games, share)
    assert [*train, *validation] == list(range(data.games))
    sides = [FrameDataset(data, games, context_len=K, examples=player_examples(0)) for games in (train, validation)]
    assert sum(map(len, sides)) == sum(max(length - K, 0) for lengths in files for length in lengths)
    for side, games in zip(sides, (train, validation), strict=True):
        rows = side.rows(torch.arange(len(side)))
        first, last = int(data.offsets[games.start]), int(data.offsets[games.stop])
        assert bool(((rows >= first) & (rows + K < last)).all())


def test_games_of_k_frames_give_nothing() -> None:
    dataset = FrameDataset(data_of([K, K - 1, 1]), range(3), context_len=K, examples=player_examples(0))
    assert len(dataset) == 0


def test_an_empty_batch_has_the_shapes_of_a_full_one() -> None:
    dataset = FrameDataset(data_of([9]), range(1), context_len=K, examples=player_examples(0))
    shapes = [tuple(tensor.shape) for tensor in dataset.__getitems__(torch.empty(0, dtype=torch.int64))]
    assert shapes == [(0, K, FLOATS), (0, K, INTS), (0, 13)]


@pytest.mark.parametrize("index", [-1, 5])
def test_an_example_outside_the_dataset_is_refused(index: int) -> None:
    dataset = FrameDataset(data_of([9]), range(1), context_len=K, examples=player_examples(0))
    with pytest.raises(IndexError, match=f"example {index} to {index} of 5"):
        dataset.__getitems__(torch.tensor([index]))


def test_files_on_disk_are_read_without_copying_them(make_file: Callable[..., Path]) -> None:
    data = open_data([make_file(30, 20)])
    dataset = FrameDataset(data, range(2), context_len=K, examples=player_examples(0))
    floats, ints, target = dataset.__getitems__(torch.tensor([0, 26]))
    assert torch.equal(floats[1], data.files[0].floats[30:34])
    assert torch.equal(ints[1], data.files[0].ints[30:34])
    assert torch.equal(target[1], data.files[0].floats[34, 15:28])


def test_the_real_games_split_into_the_known_counts(real_data: Path) -> None:
    data = open_data([real_data / "encoded-real-32.pt"])
    sides = split_games(data.games, 0.9)
    counts = [len(FrameDataset(data, games, context_len=10, examples=player_examples(0))) for games in sides]
    assert counts == [268536, 28772]
