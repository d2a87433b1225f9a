"""An architecture of another package, from its card to the match that it plays."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import DemoRecord, TrainRecord, read_record
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig

HERE = Path(__file__).parent
HIDDEN = 8
PARAMETERS = EncodingConfig().embedding_parameters + 3 * HIDDEN * (196 + HIDDEN + 2) + (HIDDEN + 1) * 13
CARD = f"""\
card: 1
name: recurrent
created: 2026-12-01
goal: Find out whether a policy of another package plays.
workload: melee-policy
data: {{source: synthetic, synthetic: {{games: 4, frames_per_game: 300}}, split: {{train: 75%, by: game}}}}
model:
  architecture: PolicyGRU
  context_len: 4
  hidden_dim: {HIDDEN}
  parameters: {PARAMETERS}
training:
  epochs: 1
  batch_size: 64
  learning_rate: 0.003
  threads: 1
  device: cpu
  select: {{metric: val_loss/total, mode: min}}
infra: {{platform: local, executor: inline}}
timing: {{calibration: [1], epoch: 1s}}
targets: [{{metric: val_loss/total, below: 2}}]
after_training:
  download: {{checkpoint: best, to: gru.pt}}
  demo: {{world_model: simulator, p0: policy:best, p1: policy:gru.pt, max_frames: 60, output: match.json}}
sign_off: {{policy: boxes, reviewers: [{{id: mattie, signed: true}}]}}
"""
Installed = Callable[..., dict[str, str]]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def env(installed: Installed, tmp_path: Path) -> dict[str, str]:
    """The environment with the architectures installed, and a card of one of them in the workspace."""
    (tmp_path / "runcards").mkdir()
    (tmp_path / "runcards" / "recurrent.yaml").write_text(CARD)
    return installed(HERE)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            f"parameters: {PARAMETERS}",
            "parameters: 1153781",
            "11:15: model.parameters: states 1153781 parameters, but PolicyGRU with context_len 4 x 196 inputs,"
            f" hidden_dim 8 = {PARAMETERS} parameters",
        ),
        (
            "architecture: PolicyGRU",
            "architecture: PolicyGUR",
            "8:17: model.architecture: unknown architecture 'PolicyGUR'; did you mean \"PolicyGRU\"?",
        ),
        (
            "  context_len: 4",
            "  context_len: 4\n  trunk_dim: 16",
            "10:14: model.trunk_dim: is not a size of PolicyGRU; leave it out",
        ),
        (
            "architecture: PolicyGRU",
            "architecture: Unbuilt",
            "8:17: model.architecture: the melee policy model Unbuilt of acme-policies 0.3: acme_gru:Unbuilt lacks"
            " build; see CONTRIBUTING.md for what it needs",
        ),
    ],
)
def test_a_card_that_cannot_be_trained_is_refused(
    right: str, wrong: str, message: str, env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    (tmp_path / "runcards" / "recurrent.yaml").write_text(CARD.replace(right, wrong))
    found = cardrunner("validate", "runcards/recurrent.yaml", env=env)
    assert (found.returncode, found.stdout) == (2, f"runcards/recurrent.yaml:{message}\n")


def test_its_page_shows_its_own_words_and_sizes(env: Mapping[str, str], cold_cardrunner: Command) -> None:
    page = cold_cardrunner("render", "runcards/recurrent.yaml", env=env).stdout
    for row in ("| Architecture | PolicyGRU (recurrent) |", f"| Parameters | {PARAMETERS:,} |", "| Hidden dim | 8 |"):
        assert row in page
    assert "Trunk dim" not in page


def test_it_trains_exports_and_plays(env: Mapping[str, str], cardrunner: Command, tmp_path: Path) -> None:
    ran = cardrunner("launch", "runcards/recurrent.yaml", env=env)
    assert ran.returncode == 0, ran.stderr
    folder = RunFolder(tmp_path / "runs" / "recurrent")
    assert read_record(folder.record("train"), TrainRecord).parameters == PARAMETERS
    config = torch.load(tmp_path / "gru.pt", weights_only=True)["config"]
    assert config == {"context_len": 4, "model_type": "PolicyGRU", "hidden_dim": HIDDEN}
    assert json.loads((tmp_path / "match.json").read_text())["meta"]["total_frames"] >= 60
    assert read_record(folder.record("demo"), DemoRecord).summary["began_with"] == "validation game 0"


def test_one_that_does_not_hold_its_contract_ends_before_a_step(
    env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    text = CARD.replace("PolicyGRU", "Miscounted").replace(f"{PARAMETERS}", f"{PARAMETERS - 1}")
    (tmp_path / "runcards" / "recurrent.yaml").write_text(text)
    ran = cardrunner("launch", "runcards/recurrent.yaml", env=env)
    assert ran.returncode == 7, ran.stderr
    said = f"build makes {PARAMETERS} trainable parameters, and parameters counts {PARAMETERS - 1}"
    assert f"the melee policy model Miscounted of acme-policies 0.3: {said}" in ran.stderr
    assert not (tmp_path / "runs" / "recurrent" / "best.pt").exists()
