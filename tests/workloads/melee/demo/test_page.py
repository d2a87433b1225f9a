"""What a demo leaves beside its match."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.arena.agents import Agent, NoopAgent, RandomAgent
from cardrunner.workloads.melee.arena.match_columns import read_match
from cardrunner.workloads.melee.demo.page import RecordedPlay, show_match
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.layout import float_index
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig
from cardrunner.workloads.melee.encoding.writer import Game, save_encoded
from cardrunner.workloads.melee.simulator.simulator import play_scripted

SEED_ROW, SEED_FRAMES = 113, 10
ENCODING = EncodingConfig()
WritePlayed = Callable[..., object]


@pytest.fixture(scope="module")
def game() -> Game:
    return play_scripted(2600, seed="a long game")


@pytest.fixture
def data(game: Game, tmp_path: Path) -> EncodedData:
    save_encoded(tmp_path / "games.pt", [game], rules=EncoderRules(source="generator"))
    return open_data([tmp_path / "games.pt"])


def recorded_of(data: EncodedData) -> RecordedPlay:
    floats, ints = data.game(0)
    return RecordedPlay(
        floats=floats[SEED_ROW:].numpy(),
        ints=ints[SEED_ROW:].numpy(),
        encoding=ENCODING,
        made_up=data.made_up,
        data=data,
        games=range(1),
        idle=123,
    )


class Table:
    """Plays matches from one start and writes them."""

    def __init__(self, recorded: RecordedPlay, write: Callable[..., object]) -> None:
        self.floats, self.ints = recorded.floats[:SEED_FRAMES].copy(), recorded.ints[:SEED_FRAMES].copy()
        self.write, self.asked = write, list[int]()

    def play(self, path: Path, agents: tuple[Agent, Agent], most: int) -> None:
        self.write(path, agents, self.floats, self.ints, most)

    def random(self, path: Path, number: int, most: int) -> None:
        self.asked.append(most)
        self.play(path, (RandomAgent(2 * number), RandomAgent(2 * number + 1)), most)


def test_a_demo_leaves_a_page_the_recorded_game_and_random_inputs(
    data: EncodedData, game: Game, tmp_path: Path, write_played: WritePlayed
) -> None:
    recorded = recorded_of(data)
    table = Table(recorded, write_played)
    path = tmp_path / "match.json"
    table.play(path, (NoopAgent(), NoopAgent()), 1200)
    files, exhibit = show_match(path, recorded, table.random)
    assert [file.name for file in files] == ["match.html", "recorded.json", "random.json"]
    real = read_match(tmp_path / "recorded.json")
    assert (real.meta["mode"], real.meta["seed_players"]) == ("replay", "scripted players")
    assert len(real) == len(read_match(path)) == 1210
    assert real.players[1]["x"] == pytest.approx(
        game[0][SEED_ROW : SEED_ROW + 1210, float_index("x", 1)] * 20, abs=1e-3
    )
    assert len(read_match(tmp_path / "random.json")) == 1210
    text = files[0].read_text()
    assert "<title>" in text
    payload = json.loads(text.split('id="payload">')[1].split("</script>")[0])
    labels = [match["label"] for match in payload["matches"]]
    assert labels == ["Agents", "Scripted players, from the same start", "Random inputs"]
    assert exhibit.sentences[2].startswith("These are not people: the validation games are made up")
    assert dict(zip(exhibit.columns, exhibit.readings[4].values, strict=True))["agents"] == 0.0
    assert exhibit.readings[4].name == "input changes"


def test_random_inputs_go_on_in_further_matches_until_there_are_enough(
    data: EncodedData, tmp_path: Path, write_played: WritePlayed
) -> None:
    recorded = recorded_of(data)
    table = Table(recorded, write_played)
    path = tmp_path / "match.json"
    table.play(path, (NoopAgent(), NoopAgent()), 300)
    table.floats[:, float_index("stocks", 0)] = 0.25
    table.floats[:, float_index("x", 0)] = -11.0
    show_match(path, recorded, table.random)
    assert len(table.asked) > 1
    assert np.diff(table.asked).max() < 0


def test_too_short_a_match_has_a_page_and_no_figures(
    data: EncodedData, tmp_path: Path, write_played: WritePlayed
) -> None:
    recorded = recorded_of(data)
    table = Table(recorded, write_played)
    path = tmp_path / "match.json"
    table.floats[-1, float_index("stocks", 0)] = 0  # over before it begins
    table.play(path, (NoopAgent(), NoopAgent()), 300)
    files, exhibit = show_match(path, recorded, table.random)
    assert all(file.is_file() for file in files)
    assert exhibit.sentences[0].startswith("This cannot be answered from 0 frames")


def test_a_world_that_random_inputs_break_still_has_a_page(
    data: EncodedData, tmp_path: Path, write_played: WritePlayed
) -> None:
    recorded = recorded_of(data)
    table = Table(recorded, write_played)
    path = tmp_path / "match.json"
    table.play(path, (NoopAgent(), NoopAgent()), 20)

    def explode(path: Path, number: int, most: int) -> None:
        raise IntegrityError("the world model gives no numbers any more")

    files, exhibit = show_match(path, recorded, explode)
    assert [file.name for file in files] == ["match.html", "recorded.json"]
    assert all(file.is_file() for file in files)
    assert exhibit.sentences[0].endswith("could not be played here. the world model gives no numbers any more")


def test_people_are_called_people(game: Game, tmp_path: Path, write_played: WritePlayed) -> None:
    save_encoded(tmp_path / "games.pt", [game], rules=EncoderRules(source="slp"))
    recorded = recorded_of(open_data([tmp_path / "games.pt"]))
    table = Table(recorded, write_played)
    path = tmp_path / "match.json"
    table.play(path, (NoopAgent(), NoopAgent()), 20)
    show_match(path, recorded, table.random)
    content: dict[str, Any] = json.loads((tmp_path / "recorded.json").read_text())
    assert content["meta"]["p0_agent"] == "person"
    assert {frame["source"] for frame in content["frames"]} == {"seed"}
