"""A script runs under a signed card through the installed command: it completes, is stopped, killed and resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TRAINER = Path(__file__).parent / "scripts" / "trainer.py"
CARD = r"""
card: 1
name: NAME
created: 2026-01-01
goal: a script runs as it is
workload: command
code: {folder: .}
training:
  command: [python, train.py, --lr, "{lr}", "--iters={iters}", --out, "{out}", --pause, "{pause}"]
  parameters: {lr: 0.1, iters: 20, pause: 0.2}
  resume: [--resume, "{checkpoint}"]
  checkpoints: {at: "{out}/ckpt.json"}
  length: {steps: "{iters}"}
  metrics:
    - {name: val_loss, direction: min, at: validation}
    - {name: loss, direction: min, at: log}
  report:
    stdout:
      - 'step (?P<step>\d+): val_loss (?P<val_loss>\S+)'
      - 'iter (?P<step>\d+): loss (?P<loss>\S+)'
  select: {metric: val_loss, mode: min}
  first_metric: 60s
  stop: {grace: 5s}
infra: {platform: local, timeout: 10 min}
timing: {total: 10s}
targets: [{metric: val_loss, below: 1.0}]
kill_thresholds:
  - {metric: val_loss, above: 1000, action: stop}
sign_off: {policy: digest, reviewers: [{id: rev, signed: null}]}
"""

PAUSES = (
    "{metric: val_loss, above: 1000, action: stop}",
    "{metric: loss, above: 1, after: 8 steps, action: investigate}",
)
"""Fires between two checkpoints, while the loss is still falling."""


@dataclass
class Team:
    """A workspace with a script in git, and the command line there."""

    root: Path

    def cardrunner(self, *words: str, code: int | None = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cardrunner", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        said = done.stdout + done.stderr
        assert code is None or done.returncode == code, said
        return said

    def card(self, name: str, *changes: tuple[str, str]) -> str:
        text = CARD.replace("NAME", name)
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = self.root / "runcards" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path.relative_to(self.root))

    def signed(self, name: str, *changes: tuple[str, str]) -> str:
        card = self.card(name, *changes)
        self.cardrunner("code", card, "--write")
        self.cardrunner("sign", card, "--as", "rev", "--yes")
        return card

    def rows(self, run: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / "runs" / run / "history.jsonl").read_text().splitlines()]

    def steps(self, run: str, kind: str) -> list[int]:
        return [row["step"] for row in self.rows(run) if row["kind"] == kind]

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.1)

    def processes(self, run: str) -> Sequence[str]:
        out = str(self.root / "runs" / run / "out").encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if out in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
        return found


@pytest.fixture
def team(tmp_path: Path) -> Team:
    shutil.copy(TRAINER, tmp_path / "train.py")
    (tmp_path / ".gitignore").write_text("runs/\n__pycache__/\n")
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "A script"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return Team(tmp_path)


def test_a_script_runs_to_its_end_and_its_results_say_who_reported_them(team: Team) -> None:
    card = team.signed("whole", ("pause: 0.2", "pause: 0.3"))
    team.cardrunner("launch", card)
    assert team.steps("whole", "train") == list(range(1, 21))
    assert team.steps("whole", "validation") == [5, 10, 15, 20]
    run = team.root / "runs" / "whole"
    page = (run / "results.md").read_text()
    assert "Metrics, reported by the script" in page
    assert "trivial baselines" not in page
    team.cardrunner("download", "whole")
    assert json.loads((team.root / "checkpoints" / "whole" / "best.pt").read_text())["step"] == 20
    assert "| Best checkpoint | step 20; val_loss" in page
    (logged,) = [line for line in page.splitlines() if line.startswith("| `loss` |")]
    assert logged.endswith(", step 20 |")
    shown = [line for line in team.cardrunner("status", "whole").splitlines() if "val_loss" in line]
    assert len(shown) == 2
    assert all(line.endswith(", reported by the script") for line in shown)
    assert json.loads(team.cardrunner("status", "whole", "--json"))["reported"]
    assert "0 differences" in team.cardrunner("verify", "whole")
    assert "iter 20: loss" in (run / "script.log").read_text()
    assert "iter 20: loss" in team.cardrunner("logs", "whole")


def test_the_best_checkpoint_is_the_one_kept_nearest_to_the_best_value_and_a_folder_is_downloaded(team: Team) -> None:
    shutil.copy(TRAINER.with_name("overfits.py"), team.root / "train.py")
    card = team.signed(
        "folders",
        (
            '[python, train.py, --lr, "{lr}", "--iters={iters}", --out, "{out}", --pause, "{pause}"]',
            '[python, train.py, "{out}"]',
        ),
        ("  parameters: {lr: 0.1, iters: 20, pause: 0.2}\n", ""),
        ('at: "{out}/ckpt.json"', 'at: "{out}/checkpoint-*", complete: trainer_state.json'),
        ('steps: "{iters}"', "steps: 6"),
        ("    - {name: loss, direction: min, at: log}\n", ""),
        ("      - 'iter (?P<step>\\d+): loss (?P<loss>\\S+)'\n", ""),
        ("below: 1.0}]", "below: 1.0}]\nafter_training: {download: {checkpoint: best, to: models/best}}"),
    )
    team.cardrunner("launch", card)
    page = (team.root / "runs" / "folders" / "results.md").read_text()
    best = "step 3, the one kept nearest to the best value; val_loss 0.5000 at step 2, reported by the script"
    assert f"| Best checkpoint | {best} |" in page
    copied = team.root / "models" / "best"
    assert {path.name: path.stat().st_size for path in copied.iterdir()} == {
        "weights.bin": 300, "trainer_state.json": len('{"global_step": 3}'),
    }  # fmt: skip
    assert "0 differences" in team.cardrunner("verify", "folders")
    (copied / "weights.bin").write_bytes(b"other")
    assert "models/best is not what was downloaded any more" in team.cardrunner("verify", "folders")
    team.cardrunner("finish", "folders")
    assert (copied / "weights.bin").stat().st_size == 300
    kept = next((team.root / "runs" / "folders" / "kept").glob("*/checkpoint-3/weights.bin"))
    kept.chmod(0o644)
    kept.write_bytes(bytes(299) + b"x")
    assert "its sha256 is" in team.cardrunner("verify", "folders", code=4)


def test_a_threshold_stops_it_and_a_resume_reaches_the_same_last_step(team: Team) -> None:
    team.cardrunner("launch", team.signed("paused", PAUSES), code=8)
    assert team.processes("paused") == []
    before = team.steps("paused", "train")
    assert before[-1] < 20
    team.cardrunner("resume", "paused", "--acknowledge", "seen")
    assert team.steps("paused", "train") == list(range(1, 21))
    assert team.steps("paused", "validation") == [5, 10, 15, 20]
    assert "0 differences" in team.cardrunner("verify", "paused")


def test_a_killed_worker_leaves_no_script_behind_and_a_resume_loses_no_row(team: Team) -> None:
    card = team.signed("killed", ("iters: 20", "iters: 30"))
    team.cardrunner("launch", card, "--detach")
    team.wait(lambda: len(team.rows("killed")) > 8)
    worker = json.loads((team.root / "runs" / "killed" / "lease.json").read_text())["pid"]
    os.kill(worker, signal.SIGKILL)
    team.wait(lambda: "interrupted" in team.cardrunner("status", "killed"))
    team.wait(lambda: team.processes("killed") == [], 20)  # its supervisor ends what the worker left
    saved = json.loads((team.root / "runs" / "killed" / "out" / "ckpt.json").read_text())["step"]
    team.cardrunner("resume", "killed")
    assert {row["clock"]["attempt"] for row in team.rows("killed") if row["step"] > saved} == {2}
    assert team.steps("killed", "train") == list(range(1, 31))
    assert team.processes("killed") == []
    assert "0 differences" in team.cardrunner("verify", "killed")


def test_a_stop_by_a_person_keeps_the_newest_checkpoint(team: Team) -> None:
    card = team.signed("stopped", ("iters: 20", "iters: 60"))
    team.cardrunner("launch", card, "--detach")
    team.wait(lambda: len(team.rows("stopped")) > 8)
    team.cardrunner("stop", "stopped", code=None)
    team.wait(lambda: "stopped stopped" in team.cardrunner("status", "stopped"))
    assert team.processes("stopped") == []
    kept = json.loads(next((team.root / "runs" / "stopped" / "kept").glob("0*/ckpt.json")).read_text())
    assert kept["step"] >= 5


def test_a_metric_of_another_name_pauses_the_run_and_names_what_was_seen(team: Team) -> None:
    wrong = ("{name: loss, direction: min, at: log}", "{name: los, direction: min, at: log}")
    groups = (r"loss (?P<loss>\S+)", r"loss (?P<loss>\S+)'" + "\n      - 'never (?P<step>\\d+) (?P<los>\\S+)")
    said = team.cardrunner(
        "launch", team.signed("named", wrong, groups, ("first_metric: 60s", "first_metric: 2s")), code=8
    )
    assert "los was never reported" in said
    assert "loss" in said.split("seen: ")[1]


def test_a_card_without_resume_says_that_a_stop_loses_the_run(team: Team) -> None:
    card = team.card("lost", ('  resume: [--resume, "{checkpoint}"]\n', ""))
    assert "a stop loses the run" in team.cardrunner("plan", card)
    assert "a stop loses the run" in team.cardrunner("render", card)
    retries = team.card("again", ('  resume: [--resume, "{checkpoint}"]\n', ""), ("10 min}", "10 min, retries: 1}"))
    assert "infra.retries: 1 retries would begin anew" in team.cardrunner("validate", retries, code=2)


def test_a_restart_sets_a_parameter(team: Team) -> None:
    rule = (PAUSES[0], PAUSES[1].replace("investigate", "restart, set: {training.parameters.lr: 0.5}"))
    team.cardrunner("launch", team.signed("again", rule))
    assert team.steps("again", "train") == list(range(1, 21))
    assert team.rows("again")[-1]["metrics"]["val_loss"] < 0.02
    assert json.loads((team.root / "runs" / "again" / "script.json").read_text())["starts"] == 2


def test_a_script_that_fails_shows_its_last_lines(team: Team) -> None:
    (team.root / "train.py").write_text("print('hello'); raise SystemExit('no such corpus')")
    said = team.cardrunner("launch", team.signed("failed"), code=7)
    assert "no such corpus" in said


def test_changed_code_closes_the_gate_and_a_resume_runs_the_code_of_the_launch(team: Team) -> None:
    card = team.signed("code", PAUSES)
    (team.root / "train.py").write_text(TRAINER.read_text() + "# changed\n")
    said = team.cardrunner("launch", card, code=3)
    assert "is not the code that was signed" in said
    assert "train.py" in said
    shutil.copy(TRAINER, team.root / "train.py")
    (team.root / "helper.py").write_text("")
    assert "helper.py" in team.cardrunner("launch", card, code=3)
    (team.root / "helper.py").unlink()
    team.cardrunner("launch", card, code=8)
    (team.root / "train.py").write_text("raise SystemExit('edited')")
    team.cardrunner("resume", "code", "--acknowledge", "seen")
    assert team.steps("code", "train") == list(range(1, 21))


def test_writing_signing_committing_and_launching_leaves_the_digest_as_it_is(team: Team) -> None:
    card = team.signed("committed")
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    for words in (["add", "-A"], [*who, "commit", "-qm", "A card"]):
        subprocess.run(["git", *words], cwd=team.root, check=True)
    digest = team.cardrunner("code", card, "--quiet").strip()
    assert digest in (team.root / card).read_text()
    team.cardrunner("launch", card)
