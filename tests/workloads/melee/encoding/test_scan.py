from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.layout import float_index, int_index
from cardrunner.workloads.melee.encoding.scan import scan
from cardrunner.workloads.melee.encoding.scheme import EncoderRules
from cardrunner.workloads.melee.encoding.writer import save_encoded

Game = tuple[NDArray[np.float32], NDArray[np.int64]]
Spoil = Callable[[Game], None]


@pytest.fixture
def scanned(tmp_path: Path, make_game: Callable[[int, int], Game]) -> Callable[..., tuple[EncodedData, list[str]]]:
    """Spoils the second of two games of 40 rows; gives the data and the errors found 7 rows at a time."""

    def run(spoil: Spoil) -> tuple[EncodedData, list[str]]:
        games = [make_game(40, 0), make_game(40, 1)]
        spoil(games[1])
        data = open_data([save_encoded(tmp_path / "games.pt", games, rules=EncoderRules(source="slp")).path])
        report = scan(data, chunk_rows=7)
        prefix = f"{tmp_path / 'games.pt'}: "
        return data, [finding.message.removeprefix(prefix) for finding in report.errors]

    return run


def test_good_data_has_no_errors_and_true_extremes(make_file: Callable[..., Path]) -> None:
    data = open_data([make_file(30, 40), make_file(50, name="b.pt", seed=9)])
    steps: list[int] = []
    report = scan(data, chunk_rows=16, progress=steps.append)
    floats, ints = data.rows(0, data.frames)
    assert (report.errors, report.rows, sum(steps)) == ((), 120, data.size)
    assert [facts.minimum for facts in report.floats] == floats.amin(0).tolist()
    assert [facts.maximum for facts in report.ints] == ints.amax(0).tolist()


def test_non_finite_values_are_counted_and_the_first_is_placed(
    scanned: Callable[..., tuple[EncodedData, list[str]]],
) -> None:
    def spoil(game: Game) -> None:
        game[0][3, float_index("percent", 1)] = np.nan
        game[0][30, float_index("percent", 1)] = -np.inf
        game[0][5, float_index("x")] = np.inf

    data, errors = scanned(spoil)
    assert errors == ["p0.x is inf in game 1, row 5", "p1.percent is nan in game 1, row 3 and 1 more"]
    column = scan(data).floats[float_index("percent", 1)]
    assert column.non_finite == 2
    assert 0 <= column.minimum <= column.maximum <= 1


def test_a_column_without_one_finite_value_has_no_extremes(
    scanned: Callable[..., tuple[EncodedData, list[str]]],
) -> None:
    def spoil(game: Game) -> None:
        game[0][:, 0] = np.nan

    assert scanned(spoil)[1] == ["p0.percent is nan in game 1, row 0 and 39 more"]


def test_categories_outside_their_vocabulary_are_placed(scanned: Callable[..., tuple[EncodedData, list[str]]]) -> None:
    def spoil(game: Game) -> None:
        game[1][39, int_index("action", 1)] = 400
        game[1][0, int_index("jumps_left")] = -1

    assert scanned(spoil)[1] == [
        "p0.jumps_left is -1, outside its vocabulary 0..7 in game 1, row 0",
        "p1.action is 400, outside its vocabulary 0..399 in game 1, row 39",
    ]


def test_garbage_triggers_are_placed(scanned: Callable[..., tuple[EncodedData, list[str]]]) -> None:
    def spoil(game: Game) -> None:
        game[0][:, float_index("shoulder")] = 3.779e22

    assert scanned(spoil)[1] == ["p0.shoulder is 3.779e+22, outside [0, 1] in game 1, row 0 and 39 more"]


def test_constant_columns_are_only_warned_of(tmp_path: Path, make_game: Callable[[int, int], Game]) -> None:
    floats, ints = make_game(20, 0)
    floats[:, float_index("invulnerable", 1)] = 0.0
    ints[:, -1] = 0
    report = scan(open_data([save_encoded(tmp_path / "a.pt", [(floats, ints)], rules=EncoderRules(source="slp")).path]))
    assert (report.errors, report.constant_columns) == ((), ("p1.invulnerable", "stage"))
    assert [finding.message for finding in report.findings] == [
        "p1.invulnerable is 0 in every row",
        "stage is 0 in every row",
    ]


def test_the_real_games_are_clean(real_data: Path) -> None:
    report = scan(open_data([real_data / "encoded-real-32.pt"]))
    assert (report.errors, report.constant_columns) == ((), ("p0.D_UP",))
