"""Demos in learned worlds: where they begin, who plays, and what ends them with a sentence and without a file."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cardrunner.contracts import DemoResult
from cardrunner.errors import CardrunnerError, EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.demo.play import DemoRun, DemoTable, play_demo
from cardrunner.workloads.melee.demo.section import MatchDemo
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig
from cardrunner.workloads.melee.encoding.writer import save_encoded
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes
from cardrunner.workloads.melee.simulator.simulator import play_scripted
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Sizes
from cardrunner.workloads.melee.world_model.prediction import WorldModel
from cardrunner.workspace import Workspace

K = 4


class Quiet:
    def stage(self, name: str) -> None: ...

    def note(self, text: str) -> None: ...

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Any]:
        with nullcontext():
            yield self

    def advance(self, amount: int = 1, *, info: str = "") -> None: ...


def save_world(path: Path, model: WorldModel, **changes: Any) -> None:
    content = {
        "model_state_dict": model.state_dict(),
        "encoding_config": model.encoding.model_dump(),
        "context_len": model.context_len,
        "cardrunner": {"run": "world", "data": {"games": 3, "frames": 650, "files": []}},
    }
    torch.save({**content, **changes}, path)


def mamba(context_len: int = K, encoding: EncodingConfig | None = None) -> Mamba2:
    torch.manual_seed(0)
    sizes = Mamba2Sizes(context_len=context_len, d_model=8, d_state=4, n_layers=2, headdim=4, chunk_size=4)
    return Mamba2(sizes, encoding=encoding).eval()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with a policy, world models and games: of 250, 250, 150 and 3 rows, the last on Hyrule Temple."""
    (tmp_path / "runcards").mkdir()
    games = [play_scripted(rows, seed=str(rows)) for rows in (250, 250, 150)]
    floats, ints = play_scripted(200, seed="temple")
    ints[:, 16] = 14
    save_encoded(
        tmp_path / "games.pt",
        [*games, (floats, ints), (games[0][0][:3], games[0][1][:3])],
        rules=EncoderRules(source="generator"),
    )
    torch.manual_seed(1)
    policy = PolicyMLP(PolicySizes(context_len=K, hidden_dim=6, trunk_dim=5))
    torch.save({"model_state_dict": policy.state_dict(), "config": {"context_len": K}}, tmp_path / "policy.pt")
    save_world(tmp_path / "mamba.pt", mamba())
    save_world(tmp_path / "stacked.pt", FrameStackMLP(FrameStackSizes(context_len=K, hidden_dim=6, trunk_dim=5)))
    return tmp_path


def data_of(place: Path) -> EncodedData:
    return open_data([place / "games.pt"])


def demo(place: Path, *, folder: str = "demo", trains: str = "policy", **fields: Any) -> DemoResult:
    """A demo of a run whose best checkpoint is the policy or the Mamba; 30 frames."""
    wanted = MatchDemo(**{"world_model": "mamba.pt", "max_frames": 30, **fields})
    own = {"policy": place / "policy.pt"} if trains == "policy" else {"world_model": place / "mamba.pt"}
    run = DemoRun(demo=wanted, data=data_of(place), games=range(1, 5), seed=0, context_len=K, **own)
    out = place / folder
    out.mkdir(exist_ok=True)
    return play_demo(run, out=out, progress=Quiet())


def content(result: DemoResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.files[0].read_text())
    return found


@pytest.mark.parametrize(("name", "architecture"), [("mamba.pt", "Mamba2"), ("stacked.pt", "FrameStackMLP")])
def test_two_policies_play_in_a_learned_world(place: Path, name: str, architecture: str) -> None:
    results = [demo(place, folder=folder, world_model=name) for folder in ("one", "two")]
    assert results[0].files[0].read_bytes() == results[1].files[0].read_bytes()
    found = content(results[0])
    meta = found["meta"]
    assert (meta["arch"], meta["model_name"], meta["context_len"]) == (architecture, name, K)
    assert (meta["p0_agent"], meta["p1_agent"]) == ("policy:best", "policy:best")
    assert len(found["frames"]) == meta["total_frames"] == K + 30
    player = found["frames"][-1]["predicted"]["p0"]
    assert len(player["top3_actions"]) == 3
    assert 0 < player["action_entropy"] < np.log(400)
    assert results[0].summary["began_with"] == "validation game 0"


def test_a_world_model_plays_its_own_demo(place: Path) -> None:
    result = demo(place, trains="world model", world_model="best", p0="replay", p1="noop")
    floats, _ = data_of(place).game(1)
    frames = content(result)["frames"]
    for number, frame in enumerate(frames[K:]):
        pressed = frame["predicted"]["p0"]["controller"]["main_x"]
        assert pressed == pytest.approx(float(floats[123 + number, 15]), abs=1e-4)
        assert frame["predicted"]["p1"]["controller"]["main_x"] == 0.5


def test_a_match_goes_on_past_the_end_of_the_game_it_began_with(place: Path) -> None:
    result = demo(place, seed_game=1, p0="replay", p1="replay", max_frames=400)
    frames = content(result)["frames"]
    assert len(frames) == K + 400
    assert frames[-1]["predicted"]["p0"]["controller"]["main_x"] == 0.5


@pytest.mark.parametrize(
    ("seed_game", "name", "stage"),
    [
        (1, "validation game 1", None),
        ("games.pt", "game 0 of games.pt", None),
        ("games.pt:2", "game 2 of games.pt", None),
        ("simulator", "a game by the simulator", None),
    ],
)
def test_a_match_begins_where_the_card_says(place: Path, seed_game: int | str, name: str, stage: str | None) -> None:
    result = demo(place, seed_game=seed_game)
    assert result.summary["began_with"] == name
    assert result.summary.get("stage") == stage


def test_a_match_begins_with_a_real_replay(place: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peppi_py")
    monkeypatch.setenv("CARDRUNNER_DATA", str(real_data))
    replay = next((real_data / "replays").glob("*.slp")).relative_to(real_data).as_posix()
    result = demo(place, seed_game=replay, p0="replay", p1="replay")
    assert result.summary["began_with"] == replay
    assert content(result)["meta"]["seed_frames"] == K


def test_a_stage_that_is_not_recorded_is_stood_in_for_and_said(place: Path) -> None:
    floats, ints = play_scripted(200, seed="x")
    ints[:, 16] = 0
    save_encoded(place / "nowhere.pt", [(floats, ints)], rules=EncoderRules(source="generator"))
    result = demo(place, seed_game="nowhere.pt:0")
    assert (
        result.summary["stage"] == "game 0 of nowhere.pt does not record its stage; Final Destination stands in for it"
    )


def explode(model: WorldModel) -> None:
    for name, parameter in model.named_parameters():
        if name.startswith("velocity_head"):
            nn.init.constant_(parameter, 3e38)


def spoil(place: Path, how: str) -> None:
    """Put a world model into the workspace that cannot be played in."""
    model = mamba()
    if how == "explode.pt":
        explode(model)
    elif how == "scaled.pt":
        model = mamba(encoding=EncodingConfig(xy_scale=0.1))
    elif how == "long.pt":
        model = mamba(context_len=200)
    weights = dict(model.state_dict())
    if how == "missing.pt":
        del weights["final_norm.weight"]
    save_world(place / how, model, model_state_dict=weights)


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"world_model": "none.pt"}, EnvironmentFailed, "world_model: none.pt was not found in .*, or write simulator"),
        ({"world_model": "policy.pt"}, IntegrityError, "it is not a world model: these are a policy's weights"),
        ({"world_model": "missing.pt"}, IntegrityError, "it lacks final_norm.weight; these are not the weights of a"),
        ({"world_model": "scaled.pt"}, IntegrityError, "another encoding .xy_scale: 0.1 against 0.05"),
        ({"world_model": "explode.pt"}, IntegrityError, "the world model has exploded: from frame 0 of the match"),
        ({"world_model": "long.pt", "seed_game": 1}, IntegrityError, "has 150 frames, but a match begins with 200"),
        ({"seed_game": 3}, IntegrityError, "validation game 3 has 3 frames, but a match begins with 4"),
        ({"seed_game": 4}, IntegrityError, "4 is not one of the 4 validation games; write 0 to 3"),
        ({"seed_game": 2}, IntegrityError, "is on Hyrule Temple .stage 14., whose geometry is not known"),
        ({"seed_game": "games.pt:9"}, IntegrityError, "has 5 games, counted from 0; there is no game 9"),
        ({"seed_game": "spoilt.pt"}, IntegrityError, "game 0 of spoilt.pt begins with values that no game shows"),
        ({"seed_game": "none.slp"}, EnvironmentFailed, "seed_game: none.slp was not found in"),
        ({"seed_game": "bad.slp"}, IntegrityError, "it cannot be read .*; choose another replay"),
        ({"p1": "policy:mamba.pt"}, IntegrityError, "mamba.pt: it has no trunk.0.weight"),
    ],
)
def test_a_demo_that_cannot_be_played_says_why_and_leaves_nothing(
    place: Path, fields: dict[str, Any], error: type[CardrunnerError], sentence: str
) -> None:
    (place / "bad.slp").write_bytes(b"not a replay")
    floats, ints = play_scripted(200, seed="x")
    ints[120:, 0] = 400
    save_encoded(place / "spoilt.pt", [(floats, ints)], rules=EncoderRules(source="slp"))
    name = fields.get("world_model", "")
    if name in ("missing.pt", "scaled.pt", "explode.pt", "long.pt"):
        spoil(place, name)
    with pytest.raises(error, match=sentence):
        demo(place, **{**fields, "max_frames": 100})
    assert list((place / "demo").iterdir()) == []


def test_rules_keep_stocks_where_no_blast_zone_was_crossed_and_can_be_left_out(place: Path) -> None:
    with_rules, without = (demo(place, folder=str(rules), rules=rules) for rules in (True, False))
    assert with_rules.summary["stock_protections"] > 0
    assert (with_rules.summary["ko_events"], with_rules.summary["final_p0_stocks"]) == (0, 4)
    assert without.summary["stock_protections"] == 0


def test_what_was_learned_from_what_is_said(place: Path) -> None:
    match = demo(place).data_match
    assert match is not None
    assert match.parts["world model"] == "3 games, 650 frames, run world"
    assert match.parts["policy of p0"] == "unknown: its checkpoint does not record its data"
    assert match.agrees is None
    assert content(demo(place))["meta"]["distribution_match"] == match.sentence
    assert "both policies does not record its data; the world model: trained on 3 games" in match.sentence


def test_a_long_match_takes_no_more_memory_than_a_short_one(place: Path) -> None:
    wanted = MatchDemo(world_model="mamba.pt")
    run = DemoRun(
        demo=wanted, policy=place / "policy.pt", data=data_of(place), games=range(1, 5), seed=0, context_len=K
    )
    table = DemoTable(run, Workspace.around(place), Quiet())

    def peak(frames: int) -> int:
        tracemalloc.start()
        table.play(place / "match.json", table.agents, ("policy", "policy"), frames)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(20)  # what is made once
    short, long = peak(256), peak(768)  # a file is written in blocks of up to 256 frames
    assert long < short * 1.1
