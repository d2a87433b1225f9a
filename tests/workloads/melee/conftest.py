from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cardrunner import registry
from cardrunner.card.load import load_card_bytes
from cardrunner.card.schema.card import Card
from cardrunner.runs.files import write_durably
from cardrunner.workloads.melee.arena.agents import Agent
from cardrunner.workloads.melee.arena.match import play_match
from cardrunner.workloads.melee.arena.match_json import MatchFile, MatchMeta
from cardrunner.workloads.melee.encoding.layout import FLOATS, INTS
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig
from cardrunner.workloads.melee.encoding.writer import save_encoded
from cardrunner.workloads.melee.game.rules import Events
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints
from cardrunner.workloads.melee.simulator.simulator import Simulator

Game = tuple[NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real games and replays."""
    folder = os.environ.get("CARDRUNNER_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("CARDRUNNER_DATA names no folder with real games")
    return Path(folder)


def random_game(rows: int, seed: int = 0) -> Game:
    """A game of possible values."""
    dice = np.random.default_rng(seed)
    vocabularies = np.array(EncodingConfig().vocabularies)
    return dice.random((rows, FLOATS), np.float32), dice.integers(0, vocabularies, (rows, INTS))


def play_in_simulator(path: Path, agents: tuple[Agent, Agent], floats: Floats, ints: Ints, most: int) -> list[Frame]:
    """Play a match in the simulator from a seed (K, 56), (K, 17), write its file, and answer with its frames."""
    frames: list[Frame] = [Frame(*rows) for rows in zip(floats, ints, strict=True)]
    meta = MatchMeta(model_name="simulator", arch="simulator", context_len=len(floats), p0_agent="a", p1_agent="b")

    class Both(MatchFile):
        def add(self, frame: Frame, events: Events, logits: Floats | None) -> None:
            frames.append(Frame(frame.floats.copy(), frame.ints.copy()))
            super().add(frame, events, logits)

    def write(stream: BinaryIO) -> None:
        recorder, world = Both(stream, meta, EncodingConfig()), Simulator.from_frame(floats[-1], ints[-1])
        recorder.end(
            play_match(
                world, agents, floats, ints, max_frames=most, encoding=EncodingConfig(), recorder=recorder, rules=False
            )
        )

    write_durably(path, write)
    return frames


@pytest.fixture
def write_played() -> Callable[..., list[Frame]]:
    """Plays and writes a match; see `play_in_simulator`."""
    return play_in_simulator


@pytest.fixture(scope="session")
def make_game() -> Callable[[int, int], Game]:
    """Rows and seed to a game."""
    return random_game


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Row counts of games to an encoded file."""

    def make(*rows: int, name: str = "games.pt", seed: int = 0) -> Path:
        games = (random_game(count, seed + number) for number, count in enumerate(rows))
        return save_encoded(tmp_path / name, games, rules=EncoderRules(source="slp")).path

    return make


@pytest.fixture
def payload() -> dict[str, Any]:
    """What a good file of two games (3 and 5 rows) holds, to be spoilt."""
    floats, ints = random_game(8)
    return {
        "floats": torch.from_numpy(floats),
        "ints": torch.from_numpy(ints),
        "game_offsets": torch.tensor([0, 3, 8]),
        "game_lengths": [3, 5],
        "num_games": 2,
        "encoding_config": EncodingConfig().model_dump(),
    }


POLICY_CARD: dict[str, Any] = {
    "card": 1,
    "name": "small-policy",
    "created": "2026-11-23",
    "goal": "Learn from a few games.",
    "workload": "melee-policy",
    "data": {"source": "games.pt", "split": {"train": 0.5, "by": "game"}},
    "model": {"architecture": "PolicyMLP", "context_len": 4, "hidden_dim": 8, "trunk_dim": 8},
    "training": {
        "epochs": 1,
        "batch_size": 2,
        "learning_rate": 0.001,
        "select": {"metric": "val_loss/total", "mode": "min"},
    },
    "infra": {"platform": "local"},
    "timing": {"epoch": "1 min"},
    "targets": [{"metric": "val_loss/total", "below": 1}],
    "sign_off": {"reviewers": [{"id": "somebody"}]},
}


WORLD_CARD: dict[str, Any] = {
    **POLICY_CARD,
    "name": "small-world",
    "workload": "melee-world-model",
    "model": {
        "architecture": "Mamba2",
        "context_len": 4,
        "d_model": 8,
        "d_state": 4,
        "n_layers": 2,
        "headdim": 4,
    },
}


def card_of(content: dict[str, Any], changes: dict[str, Any]) -> Card:
    """A card with some fields changed, by path such as ``data.games``; None removes a field."""
    content = copy.deepcopy(content)
    for path, value in changes.items():
        *sections, field = path.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place.pop(field, None)
        if value is not None:
            place[field] = value
    text = json.dumps(content).encode()
    return load_card_bytes(text, file="card.yaml", resolve=registry.workload_spec).card


@pytest.fixture
def policy_card() -> Callable[..., Card]:
    """Changes by path to a checked policy card."""
    return partial(card_of, POLICY_CARD)


@pytest.fixture
def world_card() -> Callable[..., Card]:
    """Changes by path to a checked world-model card."""
    return partial(card_of, WORLD_CARD)
