"""World-model runs from card to results: both ways to shuffle, exact resume, the exported checkpoint and the demo."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner.launching.finish import RunEnd
from cardrunner.launching.launch import LaunchOptions, launch, resume
from cardrunner.plan import plan_card
from cardrunner.runs.history import History
from cardrunner.runs.records import CheckpointRecord, DemoRecord, TrainRecord, read_record
from cardrunner.tracking.progress import NullProgress
from cardrunner.workloads.melee.encoding.scheme import EncoderRules, EncodingConfig
from cardrunner.workloads.melee.encoding.writer import save_encoded
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes
from cardrunner.workloads.melee.world_model.examples import WorldModelData
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2
from cardrunner.workloads.melee.world_model.model_file import load_world_model

CARD: dict[str, Any] = {
    "card": 1,
    "name": "small-world",
    "created": "2026-11-26",
    "repeat": True,
    "goal": "Learn from a few games.",
    "workload": "melee-world-model",
    "distribution_match": [{"component": "world model", "data_scale": "8 games"}],
    "data": {"source": ["a.pt", "b.pt"], "split": {"train": 0.75, "by": "game"}, "shuffle_block": "64 KiB"},
    "model": {
        "architecture": "Mamba2",
        "context_len": 4,
        "d_model": 8,
        "d_state": 4,
        "n_layers": 1,
        "headdim": 4,
    },
    "training": {
        "epochs": 2,
        "batch_size": 64,
        "learning_rate": 0.003,
        "drop_last": False,
        "threads": 1,
        "device": "cpu",
        "log_every": "9 steps",
        "checkpoint_every": "7 steps",
        "scheduled_sampling": {"rate": 0.5, "frames": 2, "anneal_epochs": 1},
        "select": {"metric": "val_loss/total", "mode": "min"},
    },
    "infra": {"platform": "local", "executor": "inline"},
    "timing": {"calibration": [1], "epoch": "1s"},
    "targets": [{"metric": "val_loss/total", "below": 100}],
    "after_training": {"demo": {"world_model": "best", "p0": "policy:policy.pt", "p1": "replay", "max_frames": 20}},
    "sign_off": {"policy": "boxes", "reviewers": [{"id": "mattie", "signed": True}]},
}
ROWS = (150, 90, 4, 110, 130, 100, 70, 60)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, make_game: Callable[[int, int], Any]) -> Path:
    """A workspace with two files of four games each, and a policy."""
    tmp_path = tmp_path_factory.mktemp("place")
    games = [make_game(rows, seed) for seed, rows in enumerate(ROWS)]
    for _, ints in games:
        ints[:, 16] = 31
    for name, part in (("a.pt", games[:4]), ("b.pt", games[4:])):
        save_encoded(tmp_path / name, part, rules=EncoderRules(source="slp"))
    torch.manual_seed(0)
    policy = PolicyMLP(PolicySizes(context_len=4, hidden_dim=4, trunk_dim=4))
    torch.save({"model_state_dict": policy.state_dict(), "config": {}}, tmp_path / "policy.pt")
    return tmp_path


def written(place: Path, name: str, **data: object) -> Path:
    card = copy.deepcopy(CARD)
    card["data"].update(data)
    path = place / "runcards" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**card, "name": name}))
    return path


def run(place: Path, name: str, **data: object) -> RunEnd:
    return launch(written(place, name, **data), LaunchOptions(), progress=NullProgress())


@pytest.fixture(scope="module")
def whole(place: Path) -> RunEnd:
    """A run that nothing disturbed."""
    return run(place, "whole")


def weights(ending: RunEnd) -> str | None:
    return read_record(ending.folder.record("train"), TrainRecord).weights_sha256


def test_a_run_leaves_a_world_model_that_existing_tools_read_and_a_demo_in_it(whole: RunEnd) -> None:
    ending = whole
    assert ending.exit_code == 0
    content = torch.load(ending.folder.best, weights_only=True)
    assert set(content) >= {"epoch", "model_state_dict", "optimizer_state_dict", "val_loss", "config"}
    assert content["context_len"] == 4
    assert content["encoding_config"] == EncodingConfig().model_dump()
    assert content["config"] == {"model_type": "Mamba2", "context_len": 4}
    assert isinstance(load_world_model(ending.folder.best), Mamba2)

    demo = read_record(ending.folder.record("demo"), DemoRecord)
    assert demo.summary["total_frames_predicted"] == 20
    assert demo.data_match is not None
    assert demo.data_match.agrees is None
    page = ending.folder.results.read_text()
    assert "## Distribution match" in page
    assert "its checkpoint does not record its data" in page
    assert "| world model | 8 games, 714 frames, sha256" in page
    assert "are not numbers" not in page


def test_a_plan_says_whose_data_is_not_known(place: Path) -> None:
    match = plan_card(written(place, "planned", games=8, frames=714)).plan.data_match
    assert match is not None
    assert match.parts["world model"] == "8 games, 714 frames, run planned"
    assert "the checkpoint of the policy of p0 does not record its data" in match.sentence


def test_both_ways_to_shuffle_validate_what_they_reload_alike(place: Path, whole: RunEnd) -> None:
    for ending in (whole, run(place, "block", shuffle="block")):
        assert ending.exit_code == 0
        record = read_record(ending.folder.record("checkpoint"), CheckpointRecord)
        assert record.agrees
        assert record.measured["val_metric/rollout_error_20"] > 0


def test_a_run_that_was_interrupted_ends_with_the_same_bits(
    place: Path, whole: RunEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = WorldModelData.on_batch

    def ask(self: WorldModelData, now: int, batch: Any) -> Any:
        if now == 10:
            os.kill(os.getpid(), 15)
        return mark(self, now, batch)

    with monkeypatch.context() as patch:
        patch.setattr(WorldModelData, "on_batch", ask)
        broken = run(place, "broken")
    assert broken.exit_code == 143
    again = resume(broken.folder, acknowledge=None, progress=NullProgress())
    assert (again.exit_code, weights(again)) == (0, weights(whole))
    rows = [
        [row.model_dump(exclude={"clock"}) for row in History(each.folder.history).rows()] for each in (whole, again)
    ]
    assert json.dumps(rows[0]) == json.dumps(rows[1])


def test_the_share_of_sampled_examples_rises_and_stays(place: Path) -> None:
    from cardrunner import registry
    from cardrunner.card.load import load_card
    from cardrunner.workloads.melee.world_model.examples import WorldBatch

    card = load_card(written(place, "shares"), registry.workload_spec).card
    files = [place / "a.pt", place / "b.pt"]
    data = registry.workload(card.workload).open_data(card, files, scratch=place, progress=NullProgress())
    assert isinstance(data, WorldModelData)
    batch = data.train.__getitems__(torch.arange(64))
    steps = -(-len(data.train) // 64)
    shares = [set(WorldBatch(*data.on_batch(step, batch)).share.tolist()) for step in (1, 1 + steps, 99)]
    assert shares == [{0.0}, {0.5}, {0.5}]
    half = WorldBatch(*data.on_batch(1 + steps // 2, batch)).share
    assert float(half[0]) == pytest.approx(0.25, abs=0.07)
