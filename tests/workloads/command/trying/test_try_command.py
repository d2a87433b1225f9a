"""`cardrunner try` through the installed command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.schema.training import Selection
from cardrunner.main import main
from cardrunner.workloads.command.spec import training_of
from tests.workloads.command.trying.pasting import pasted

SCRIPTS = Path(__file__).parents[1] / "scripts"
CARD = r"""
card: 1
name: NAME
created: 2026-01-01
goal: a script is tried
workload: command
code: {folder: ., files: ["*.py"]}
training:
  command: [python, train.py, --lr, "{lr}", "--iters={iters}", --out, "{out}", --pause, "{pause}"]
  parameters: {lr: 0.1, iters: 4000, pause: 0.05}
  resume: [--resume, "{checkpoint}"]
  checkpoints: {at: "{out}/ckpt.json"}
  length: {steps: "{iters}"}
  metrics:
    - {name: val_loss, direction: min, at: validation}
    - {name: acc, direction: max, at: log}
  report:
    stdout: ['step (?P<step>\d+): val_loss (?P<val_loss>\S+)', 'acc (?P<acc>\S+) (?P<step>\d+)']
infra: {platform: local}
timing: {total: 10s}
targets: [{metric: val_loss, below: 1.0}]
sign_off: {policy: digest, reviewers: [{id: rev, signed: null}]}
"""


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Team:
    """A workspace with scripts and no git, and a folder for temporary files of its own."""

    root: Path
    temporary: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "HOME": str(self.root.with_name("home")),  # whose caches no other test changes meanwhile
            "TMPDIR": str(self.temporary),
            "SOME_TOKEN": "abcdef123456",
            "SSH_AUTH_SOCK": "/sock",
            "OUTSIDE": str(self.root / "outside"),
        }

    def cardrunner(self, *words: str) -> Said:
        command = [sys.executable, "-m", "cardrunner", *words]
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def card(self, text: str, name: str) -> str:
        (self.root / "runcards").mkdir(exist_ok=True)
        (self.root / "runcards" / f"{name}.yaml").write_text(text.replace("NAME", name))
        return f"runcards/{name}.yaml"

    def left(self) -> list[str]:
        """What stands in the folder for temporary files."""
        return sorted(path.name for path in self.temporary.iterdir())


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    root, temporary = tmp_path_factory.mktemp("team"), tmp_path_factory.mktemp("temporary")
    shutil.copy(SCRIPTS / "trainer.py", root / "train.py")
    shutil.copy(SCRIPTS / "unruly.py", root)
    shutil.copy(SCRIPTS / "epochs.py", root)
    return Team(root, temporary)


@pytest.fixture(scope="module")
def tried(team: Team) -> dict[str, Any]:
    said = team.cardrunner("try", team.card(CARD, "tried"), "--for", "8s", "--json")
    found: dict[str, Any] = json.loads(said.out)
    assert said.code == found["exit_code"]
    return found


def test_declared_rows_are_counted_and_the_one_that_did_not_come_is_named_with_those_seen(
    tried: dict[str, Any],
) -> None:
    (val_loss,) = tried["declared"]
    assert val_loss["name"] == "val_loss"
    assert val_loss["count"] >= 3
    assert val_loss["every_steps"] == 5
    assert 0.1 < val_loss["every_seconds"] < 2
    assert [entry["metric"] for entry in tried["missing"]] == ["acc"]
    assert "acc did not come; seen: loss" in tried["missing"][0]["sentence"]
    assert [entry["name"] for entry in tried["seen"]] == ["loss"]
    assert tried["exit_code"] == 8
    assert "declared and not seen: acc" in tried["problem"]


def test_it_is_stopped_and_resumes_at_a_later_step(tried: dict[str, Any]) -> None:
    (checkpoint,) = tried["checkpoints"]
    assert (checkpoint["at"], checkpoint["overwritten"], checkpoint["flaw"]) == ("{out}/ckpt.json", True, None)
    assert (tried["stop"]["signal"], tried["stop"]["code"]) == ("SIGTERM", -signal.SIGTERM)
    assert tried["resume"]["went_on"]
    assert tried["resume"]["first_step"] > 5


def test_nothing_of_it_is_left(team: Team, tried: dict[str, Any]) -> None:
    assert tried["outside"] == []
    assert team.left() == []
    assert not (team.root / "runs").exists()
    assert not (team.root / ".cardrunner").exists()


def test_from_a_script_to_a_launch_by_the_printed_steps_and_what_is_pasted(team: Team) -> None:
    words = ("python", "train.py", "--lr", "1e-1", "--iters", "120", "--pause", "0.05", "--out", "results")
    made = team.cardrunner("new", "fresh", "--workload", "command", "--", *words)
    assert made.code == 0
    assert "cardrunner try runcards/fresh.yaml" in made.err
    first = team.cardrunner("try", "runcards/fresh.yaml", "--for", "30s", "--json")
    assert first.code == 8
    assert json.loads(first.out)["ended_by_itself"].startswith("the script ended with 0")
    assert json.loads(first.out)["resume"]["how"] == "with --resume {checkpoint}, an option that it seems to have"
    assert json.loads(first.out)["resume"]["went_on"]
    card = team.root / "runcards" / "fresh.yaml"
    text = pasted(card.read_text(), json.loads(first.out)["paste"])
    card.write_text(text.replace("{id: reviewer, name: Who reviews this", "{id: ada, name: Ada"))
    training = training_of(load_card(card, registry.workload_spec).card)
    assert (training.selection, training.resumes) == (Selection(metric="val_loss", mode="min"), True)
    again = team.cardrunner("try", "runcards/fresh.yaml", "--for", "20s")
    assert again.code == 0, again
    assert "rows: 2 of 2 declared metrics came" in again.out
    assert "it went on, its first row is of step" in again.out
    assert "paste into the card" not in again.out
    assert "progress: rows came up to step" in again.out
    assert "training.checkpoints.at: {out}/ckpt.json matches 1 file, the newest ckpt.json" in again.out
    assert "cardrunner code runcards/fresh.yaml --write" in again.err
    assert "cardrunner sign runcards/fresh.yaml --as ada   # without a terminal add --yes" in again.err
    steps = [line.split("#")[0].split()[1:] for line in made.err.splitlines() if line.startswith("  cardrunner")]
    assert [step[0] for step in steps] == ["try", "code", "check", "sign", "launch"]
    for step in steps[1:]:
        more = ["--yes"] if step[0] == "sign" else []
        done = team.cardrunner(*[{"ID": "me", "reviewer": "ada"}.get(word, word) for word in step], *more)
        assert done.code == 0, done
    assert (team.root / "runs" / "fresh" / "results.md").exists()
    shutil.rmtree(team.root / "runs")
    shutil.rmtree(team.root / ".cardrunner")


def test_an_unruly_script_leaves_no_process_and_no_file_and_is_given_no_secret(team: Team) -> None:
    outside = team.root / "outside"
    outside.mkdir()
    changes = (
        ('[python, train.py, --lr, "{lr}", "--iters={iters}", --out,', "[python, unruly.py,"),
        (', --pause, "{pause}"]', "]"),
        ("  parameters: {lr: 0.1, iters: 4000, pause: 0.05}\n", ""),
        ('  length: {steps: "{iters}"}\n', ""),
        ("    - {name: acc, direction: max, at: log}\n", ""),
        (", 'acc (?P<acc>\\S+) (?P<step>\\d+)'", ""),
    )
    text = CARD
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    said = team.cardrunner("try", team.card(text, "unruly"), "--for", "10s")
    assert "rows: 1 of 1 declared metric came" in said.out, said
    assert "did not end when asked to, and was killed" in said.out
    assert f"new: {outside / 'changed.txt'}" in said.out
    assert (outside / "changed.txt").read_text() == "None offline None"
    assert "SOME_TOKEN" in said.out
    assert said.code == 4
    assert team.left() == []
    stray = int((team.root / "stray").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(stray, 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_trial_that_is_interrupted_leaves_nothing(team: Team, number: int, code: int) -> None:
    """Twice, as impatient people do it."""
    card = team.card(CARD, "left")
    command = [sys.executable, "-m", "cardrunner", "try", card, "--for", "60s"]
    process = subprocess.Popen(command, cwd=team.root, env=team.environment, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not list(team.temporary.glob("cardrunner-try-*/left/out/ckpt.json")):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert team.left() == []


def test_what_a_killed_trial_left_is_removed_by_the_next(team: Team) -> None:
    card = team.card(CARD, "killed")
    command = [sys.executable, "-m", "cardrunner", "try", card, "--for", "60s"]
    process = subprocess.Popen(command, cwd=team.root, env=team.environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not list(team.temporary.glob("cardrunner-try-*/killed/out/ckpt.json")):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert len(team.left()) == 1
    said = team.cardrunner("try", team.card(CARD.replace("train.py", "absent.py"), "dies"), "--for", "5s")
    assert said.code == 7
    assert "absent.py is not there" in said.err
    assert "can't open file" in said.out
    assert team.left() == []


REFUSALS = [
    (("infra: {platform: local}", "infra: {platform: local, price: $2/h}"), (), 2, "infra.price costs money"),
    (
        ("infra: {platform: local}", "infra: {platform: modal, gpu: T4, timeout: 1h, volume: v}"),
        (),
        2,
        "platform modal costs money",
    ),
    (("a script", "a script"), ("--for", "soon"), 2, "--for soon: this is not a duration"),
    (("a script", "a script"), ("--for", "1s"), 2, "too short for any script"),
]


@pytest.mark.parametrize(("change", "words", "code", "said"), REFUSALS)
def test_what_may_not_be_tried_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], words: list[str], code: int, said: str
) -> None:
    (tmp_path / "runcards").mkdir()
    card = tmp_path / "runcards" / "a.yaml"
    card.write_text(CARD.replace("NAME", "a").replace(*change))
    assert main(["try", str(card), *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("where", [".", ".."])
def test_a_floor_upward_turns_trials_off(tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    folder = tmp_path / "team" / "runcards"
    folder.mkdir(parents=True)
    (folder.parent / where / "cardrunner.yaml").write_text("try: off\n")
    (folder / "a.yaml").write_text(CARD.replace("NAME", "a"))
    assert main(["try", str(folder / "a.yaml")]) == 3
    assert "cardrunner.yaml says `try: off`" in capsys.readouterr().err


def test_a_floor_with_a_fault_keeps_trials_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cardrunner.yaml").write_text("try: never\n")
    (tmp_path / "a.yaml").write_text(CARD.replace("NAME", "a"))
    assert main(["try", str(tmp_path / "a.yaml")]) == 3
    assert "cardrunner.yaml:1:6: try: must be on or off" in capsys.readouterr().err


def test_a_workload_of_our_own_loop_is_not_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[4]
    shutil.copy(root / "runcards" / "quickstart.yaml", tmp_path)
    assert main(["try", str(tmp_path / "quickstart.yaml")]) == 2
    assert "there is nothing to try; `cardrunner plan" in capsys.readouterr().err


def test_a_series_by_epochs_and_an_option_to_load_are_found_and_the_progress_is_told(team: Team) -> None:
    words = ("python", "epochs.py", "--epochs", "40", "--save-dir", "models")
    assert team.cardrunner("new", "series", "--workload", "command", "--", *words).code == 0
    first = team.cardrunner("try", "runcards/series.yaml", "--for", "20s")
    assert "progress: rows came up to epoch 40 of 40, 100 %" in first.out, first
    assert "{out}/model_ep*.npz (file, 2.14 kB): a series of 40, each with a name of its own" in first.out
    assert "resume: with --load {checkpoint}, an option that it seems to have, from model_ep" in first.out
    assert "it went on, its first row is of step" in first.out
    assert r"- 'epoch\s+(?P<epoch>\d+)/" in first.out
    assert 'checkpoints: {at: "{out}/model_ep*.npz"}' in first.out
    assert "select: {metric: val_rmse, mode: min}" in first.out
    assert "total: 10s   # the trial took" in first.out


def test_a_resume_that_began_anew_is_told_with_the_options_that_may_be_the_one(team: Team) -> None:
    changes = (
        ("python, train.py, --lr", "python, epochs.py, --lr"),
        ('"--iters={iters}", --out, "{out}", --pause, "{pause}"]', '"--epochs={epochs}", --save-dir, "{out}"]'),
        ("iters: 4000, pause: 0.05", "epochs: 4000"),
        ('[--resume, "{checkpoint}"]', '[--note, "{checkpoint}"]'),
        ("{out}/ckpt.json", "{out}/model_*.npz"),
        ('{steps: "{iters}"}', '{epochs: "{epochs}"}'),
        ("    - {name: acc, direction: max, at: log}\n", ""),
        ("step (?P<step>\\d+): val_loss (?P<val_loss>\\S+)", "epoch (?P<epoch>\\d+)/.*val rmse (?P<val_loss>\\S+)"),
        (", 'acc (?P<acc>\\S+) (?P<step>\\d+)'", ""),
    )
    text = CARD
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    said = team.cardrunner("try", team.card(text, "anew"), "--for", "8s")
    assert "it began anew: its first row is of step 1" in said.out, said
    assert "options of the script that may be the one for training.resume: --load" in said.out
    assert "progress: rows came up to epoch" in said.out
    assert "the resume began anew; correct training.resume" in said.err
