"""A workload of another package, from its card to the results: the example that ships."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.records import TrainRecord, read_record

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
Installed = Callable[..., dict[str, str]]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def env(installed: Installed, tmp_path: Path) -> dict[str, str]:
    """The environment with the example installed, and its workspace as it ships."""
    pytest.importorskip("sklearn")
    for part in ("runcards", ".cardrunner"):
        shutil.copytree(DIGITS / part, tmp_path / part)
    return installed(DIGITS)


def accuracy(folder: RunFolder) -> float:
    """Of the newest validation."""
    rows = [row for row in History(folder.history).rows() if row.kind == "validation"]
    return rows[-1].metrics["val_metric/accuracy"]


def test_its_card_is_valid_and_its_review_page_shows_what_it_added(env: Mapping[str, str], cardrunner: Command) -> None:
    assert cardrunner("validate", "runcards/digits.yaml", env=env).stderr == "1 card, 0 faults, 0 warnings\n"
    page = cardrunner("render", "runcards/digits.yaml", env=env).stdout
    assert "| Hidden dim | 64 |" in page
    plan = cardrunner("plan", "runcards/digits.yaml", "--json", env=env)
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["work"]["train_examples"] == 1437


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("4810", "4811", "24:15: model.parameters: states 4811, but (64 + 1) x 64 + (64 + 1) x 10 = 4810"),
        ("1437", "1438", "18:19: data.train_examples: states 1438, but 1797 examples at 80% = 1437"),
        ("MLP", "CNN", "22:17: model.architecture: unknown architecture 'CNN'; there is MLP"),
        ("hidden_dim", "hiden_dim", '23:3: model.hiden_dim: unknown key; did you mean "hidden_dim"?'),
    ],
)
def test_a_card_that_does_not_add_up_is_refused(
    right: str, wrong: str, message: str, env: Mapping[str, str], cardrunner: Command, tmp_path: Path
) -> None:
    card = tmp_path / "runcards" / "digits.yaml"
    card.write_text(card.read_text().replace(right, wrong))
    assert cardrunner("validate", "runcards/digits.yaml", env=env).stdout == f"runcards/digits.yaml:{message}\n"


def test_reading_its_card_imports_neither_torch_nor_what_its_data_comes_from(
    env: Mapping[str, str], tmp_path: Path
) -> None:
    probe = (
        "import sys; from cardrunner.main import main; main(['validate', 'runcards/digits.yaml', '--quiet']);"
        "print([name for name in ('torch', 'sklearn', 'numpy') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, env=env, text=True, capture_output=True, check=True
    )
    assert ran.stdout == "[]\n"


def test_it_is_listed_with_its_package_version_and_metrics(env: Mapping[str, str], cardrunner: Command) -> None:
    listed = cardrunner("workloads", env=env)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.endswith(
        "digits: cardrunner-digits 1.0\n"
        "  val_loss/total       lower is better   nats\n"
        "  val_metric/accuracy  higher is better  share\n"
    )
    assert json.loads(cardrunner("workloads", "--json", env=env).stdout)[-1] == {
        "name": "digits",
        "package": "cardrunner-digits",
        "version": "1.0",
        "metrics": [
            {"name": "val_loss/total", "direction": "min", "unit": "nats", "meaning": "cross entropy"},
            {
                "name": "val_metric/accuracy",
                "direction": "max",
                "unit": "share",
                "meaning": "how often the likeliest digit is right",
            },
        ],
        "fault": None,
    }


def test_the_schema_describes_its_card(env: Mapping[str, str], cardrunner: Command) -> None:
    schema = json.loads(cardrunner("schema", env=env).stdout)
    assert "digits" in schema["properties"]["workload"]["enum"]
    assert schema["$defs"]["DigitsModel"]["properties"]["hidden_dim"]["description"] == "Units of the hidden layer."


def test_a_misspelled_name_is_guessed(env: Mapping[str, str], cardrunner: Command, tmp_path: Path) -> None:
    card = tmp_path / "runcards" / "digits.yaml"
    card.write_text(card.read_text().replace("workload: digits", "workload: digit"))
    said = cardrunner("validate", "runcards/digits.yaml", env=env).stdout
    assert said == "runcards/digits.yaml:13:11: workload: unknown workload 'digit'; did you mean \"digits\"?\n"


def test_it_trains_and_a_run_that_was_stopped_ends_with_the_same_weights(
    env: Mapping[str, str], cardrunner: Command, cold_cardrunner: Command, tmp_path: Path
) -> None:
    whole = cold_cardrunner("launch", "runcards/digits.yaml", env=env)
    assert whole.returncode == 0, whole.stderr
    folder = RunFolder(tmp_path / "runs" / "digits")
    assert accuracy(folder) > 0.9
    assert read_record(folder.record("train"), TrainRecord).parameters == 4810
    assert "**Completed: 1 of 1 target met.** 5 of 5 epochs" in (folder.root / "results.md").read_text()

    text = (DIGITS / "runcards" / "digits.yaml").read_text().replace("name: digits", "name: stopped")
    stop = "kill_thresholds:\n  - {metric: val_loss/total, above: 0.5, within: 1 epochs, action: stop, why: a test}\n"
    text = text.partition("sign_off:")[0].replace("kill_thresholds:\n", stop)
    boxes = "sign_off:\n  policy: boxes\n  reviewers:\n    - {id: example-reviewer, signed: true}\n"
    (tmp_path / "runcards" / "stopped.yaml").write_text(text + boxes)
    assert cardrunner("launch", "runcards/stopped.yaml", env=env).returncode == 5
    resumed = cardrunner("resume", "stopped", "--acknowledge", "it was meant to stop", env=env)
    assert resumed.returncode == 0, resumed.stderr
    weights, again = (
        torch.load(RunFolder(tmp_path / "runs" / name).latest, weights_only=True)["model_state_dict"]
        for name in ("digits", "stopped")
    )
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
