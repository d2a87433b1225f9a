from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, strategies as st
from numpy.typing import NDArray

from cardrunner.errors import IntegrityError, UsageError
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.encoded_file import open_encoded
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig
from cardrunner.workloads.melee.encoding.writer import save_encoded
from tests.examples import examples

Game = tuple[NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture
def three_files(make_file: Callable[..., Path]) -> EncodedData:
    """Games of 3 and 5 rows, one of 4, and of 1, 2 and 6 rows."""
    rows = {"a.pt": (3, 5), "b.pt": (4,), "c.pt": (1, 2, 6)}
    return open_data([make_file(*counts, name=name, seed=len(counts)) for name, counts in rows.items()])


def test_several_files_count_as_one(three_files: EncodedData) -> None:
    assert (three_files.games, three_files.frames) == (6, 21)
    assert three_files.offsets.tolist() == [0, 3, 8, 12, 13, 15, 21]
    assert three_files.first_rows.tolist() == [0, 8, 12, 21]
    assert three_files.rules == (EncoderRules(source="slp"),)


def test_a_game_is_a_view_into_its_file(three_files: EncodedData) -> None:
    floats, ints = three_files.game(2)
    assert floats.data_ptr() == three_files.files[1].floats.data_ptr()
    assert (len(floats), len(ints)) == (4, 4)
    with pytest.raises(IndexError):
        three_files.game(6)


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rows_and_gather_agree_with_joined_files(three_files: EncodedData, data: st.DataObject) -> None:
    joined = torch.cat([file.floats for file in three_files.files])
    joined_ints = torch.cat([file.ints for file in three_files.files])
    start = data.draw(st.integers(0, 21))
    stop = data.draw(st.integers(start, 21))
    floats, ints = three_files.rows(start, stop)
    assert torch.equal(floats, joined[start:stop])
    assert torch.equal(ints, joined_ints[start:stop])
    index = torch.tensor(data.draw(st.lists(st.integers(0, 20), max_size=30)), dtype=torch.int64)
    floats, ints = three_files.gather(index)
    assert torch.equal(floats, joined[index])
    assert torch.equal(ints, joined_ints[index])


@examples(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4))
def test_offsets_are_the_running_sum_of_all_games(
    tmp_path: Path, make_game: Callable[[int, int], Game], parts: list[list[int]]
) -> None:
    for number, rows in enumerate(parts):
        games = (make_game(count, number) for count in rows)
        save_encoded(tmp_path / f"{number}.pt", games, rules=EncoderRules(source="slp"))
    data = open_data([tmp_path / f"{number}.pt" for number in range(len(parts))])
    lengths = [count for rows in parts for count in rows]
    assert data.offsets.tolist() == [0, *accumulate(lengths)]
    assert [len(data.game(game)[0]) for game in range(data.games)] == lengths
    for row in range(data.frames):
        place = data.locate(row)
        assert data.offsets[place.game] + place.row == row
        assert 0 <= place.row < lengths[place.game]


def test_chunks_cover_every_row_once(three_files: EncodedData) -> None:
    firsts = [(first, len(floats)) for first, floats, _ in three_files.chunks(3)]
    assert firsts == [(0, 3), (3, 3), (6, 2), (8, 3), (11, 1), (12, 3), (15, 3), (18, 3)]


def test_a_place_names_file_game_and_row(three_files: EncodedData) -> None:
    place = three_files.locate(14)
    assert (place.path.name, place.game, place.row) == ("c.pt", 4, 1)


def test_files_of_different_encodings_do_not_mix(
    make_file: Callable[..., Path], make_game: Callable[[int, int], Game], tmp_path: Path
) -> None:
    other = tmp_path / "other.pt"
    encoding = EncodingConfig(xy_scale=0.1)
    save_encoded(other, [make_game(3, 0)], rules=EncoderRules(source="slp"), encoding=encoding)
    with pytest.raises(IntegrityError, match=r"are encoded differently \(xy_scale: 0.05 against 0.1\)"):
        open_data([make_file(3), other])


def test_no_file_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no data file was given"):
        open_data([])


def test_real_games_have_their_lengths(real_data: Path) -> None:
    data = EncodedData((open_encoded(real_data / "encoded-real-32.pt"),) * 2)
    assert (data.games, data.frames) == (64, 2 * 297_628)
    assert len(data.game(32)[0]) == len(data.game(0)[0]) == 12_696
