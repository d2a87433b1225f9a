"""What proves a script's word, through the installed command: preflight, facts, evaluation and demo."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cardrunner.workloads.command import script
from tests.workloads.command.test_whole_command_run import Team

PROVEN = Path(__file__).parent / "scripts" / "proven.py"
CARD = r"""
card: 1
name: NAME
created: 2026-01-01
goal: the word of a script is proven
workload: command
code: {folder: .}
data: {source: "data/*.bin"}
training:
  command: [python, train.py, train, "--iters={iters}", --out, "{out}", --parameters, "{said}"]
  parameters: {iters: 10, said: 1, off: 0.0}
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
  facts: {parameters: {value: 1, tolerance: 0.5}, tokens: 1000}
  preflight: [python, train.py, preflight]
  evaluate:
    command: [python, train.py, evaluate, --checkpoint, "{checkpoint}", --off, "{off}"]
    stdout: 'val_loss (?P<val_loss>\S+)'
  first_metric: 60s
  stop: {grace: 5s}
infra: {platform: local, timeout: 10 min}
timing: {total: 10s}
targets: [{metric: val_loss, below: 1.0}]
after_training:
  demo: {command: [python, train.py, demo, --checkpoint, "{checkpoint}", --out, "{out}"], output: shown/curve.svg}
sign_off: {policy: digest, reviewers: [{id: rev, signed: null}]}
"""


class Proven(Team):
    """A workspace whose script can be proven."""

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
        self.cardrunner("data", card, "--write")
        self.cardrunner("sign", card, "--as", "rev", "--yes")
        return card

    def record(self, run: str, stage: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "runs" / run / "stages" / f"{stage}.json").read_text())
        return found


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Proven:
    root = tmp_path_factory.mktemp("proven")
    shutil.copy(PROVEN, root / "train.py")
    shutil.copy(Path(script.__path__[0]) / "cardrunner_script.py", root)
    (root / "data").mkdir()
    for name in ("a", "b"):
        (root / "data" / f"{name}.bin").write_text(name * 100)
    (root / ".gitignore").write_text("runs/\ndata/\nshown/\n__pycache__/\n")
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "A script"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return Proven(root)


@pytest.fixture(scope="module")
def whole(team: Proven) -> Path:
    """A run in which everything agrees, but a fact that the script never says."""
    team.cardrunner("launch", team.signed("whole"))
    return team.root / "runs" / "whole"


def test_the_plan_says_what_will_run_beside_the_training(team: Proven) -> None:
    said = " ".join(team.cardrunner("plan", team.card("planned"), code=None).split())
    assert "before the training: $ python train.py preflight" in said
    assert "re-measured by: $ python train.py evaluate --checkpoint CHECKPOINT --off 0.0" in said
    assert "parameters = 1 ± 0.5, tokens = 1000" in said
    assert "runs/planned/demo" in said


def test_the_best_checkpoint_is_measured_again(team: Proven, whole: Path) -> None:
    record = team.record("whole", "checkpoint")
    assert record["measured"] == record["recorded"]
    assert record["command"][:3] == ["python", "train.py", "evaluate"]
    page = (whole / "results.md").read_text()
    assert "measured again by the card's training.evaluate, which gives the recorded numbers" in page
    assert "val_loss" in (whole / "beside" / "evaluate.log").read_text()


def test_facts_stand_against_the_card_and_one_that_was_not_said_is_a_warning(team: Proven, whole: Path) -> None:
    facts = {row["name"]: row for row in team.record("whole", "train")["facts"]}
    assert facts["fact parameters"] == {
        "name": "fact parameters", "expected": "1 ± 0.5", "actual": "1", "ok": True, "severity": "error",
        "note": "said by the script",
    }  # fmt: skip
    assert (facts["fact tokens"]["ok"], facts["fact tokens"]["severity"]) == (False, "warning")
    assert facts["fact layers"]["expected"] is None
    page = (whole / "results.md").read_text()
    assert "fact tokens" in page
    assert "the script has not said tokens, which training.facts states" in page


def test_the_preflight_ran_before_the_training(team: Proven, whole: Path) -> None:
    fact = next(row for row in team.record("whole", "load")["facts"] if row["name"] == "result of the preflight")
    assert fact["ok"]
    assert "2 data files" in (whole / "beside" / "preflight.log").read_text()


def test_data_files_are_pinned_by_count_size_and_digest(team: Proven, whole: Path) -> None:
    facts = {row["name"]: row for row in team.record("whole", "load")["facts"]}
    assert (facts["files of data/*.bin"]["expected"], facts["files of data/*.bin"]["actual"]) == ("2", "2")
    assert facts["sha256 of data/*.bin"]["ok"]
    files = team.record("whole", "load")["identity"]["files"]
    assert [(file["path"], file["bytes"]) for file in files] == [("data/a.bin", 100), ("data/b.bin", 100)]
    assert (whole / "code" / "data" / "a.bin").is_symlink()


def test_the_files_of_the_demo_are_kept_and_shown(team: Proven, whole: Path) -> None:
    record = team.record("whole", "demo")
    assert record["files"] == ["demo/curve.svg", "demo/more/samples.txt"]
    assert [len(file["sha256"]) for file in record["made"]] == [64, 64]
    assert "![demo/curve.svg](demo/curve.svg)" in (whole / "results.md").read_text()
    assert (team.root / "shown" / "curve.svg").read_text() == (whole / "demo" / "curve.svg").read_text()


def test_verify_finds_no_difference_and_names_a_changed_file_of_the_demo(team: Proven, whole: Path) -> None:
    assert "0 differences" in team.cardrunner("verify", "whole")
    shown = whole / "demo" / "more" / "samples.txt"
    before = shown.read_text()
    shown.write_text("better\n")
    assert "demo/more/samples.txt" in team.cardrunner("verify", "whole", code=None)
    shown.write_text(before)


def test_an_evaluation_that_disagrees_fails_the_run(team: Proven) -> None:
    said = team.cardrunner("launch", team.signed("off", ("off: 0.0", "off: 0.5")), code=4)
    assert "ckpt.json does not validate as it did" in said or "best.pt does not validate as it did" in said
    assert team.record("off", "checkpoint")["agrees"] is False


def test_an_evaluation_that_reports_no_such_metric_names_what_it_printed(team: Proven) -> None:
    said = team.cardrunner("launch", team.signed("mute", ("stdout: 'val_loss ", "stdout: 'error ")), code=7)
    assert "training.evaluate reported no value, and not val_loss; its last 1 line follows val_loss 0.1" in said
    assert not (team.root / "runs" / "mute" / "stages" / "checkpoint.json").exists()


def test_a_folder_is_measured_again_and_shown_too(team: Proven) -> None:
    changes = ("{out}/ckpt.json", "{out}/checkpoint-*"), ('"{said}"]', '"{said}", --folders]')
    team.cardrunner("launch", team.signed("folders", *changes))
    record = team.record("folders", "checkpoint")
    assert record["command"][4].endswith("/checkpoint-10")
    assert record["measured"] == record["recorded"] != {}
    assert team.record("folders", "demo")["files"] == ["demo/curve.svg", "demo/more/samples.txt"]
    assert "0 differences" in team.cardrunner("verify", "folders")


def test_a_fact_that_differs_ends_the_run_early(team: Proven) -> None:
    said = team.cardrunner(
        "launch", team.signed("other", ("said: 1,", "said: 2,"), ("iters: 10", "iters: 400")), code=4
    )
    assert "the script does not match the card: fact parameters is 2, expected 1 ± 0.5" in said
    assert len(team.steps("other", "train")) < 200


def test_a_preflight_that_fails_ends_the_run_before_the_training(team: Proven) -> None:
    said = team.cardrunner("launch", team.signed("unfit", ("preflight]", "preflight, --fails]")), code=4)
    assert "result of the preflight is exit code 3, expected exit code 0" in said
    assert "there is no room for the training" in said
    assert not (team.root / "runs" / "unfit" / "script.log").exists()


def test_a_command_that_does_not_end_is_killed_with_all_it_started_and_shows_no_secret(
    team: Proven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "tok-5f86d081884c7d65")
    hanging = '{command: [python, train.py, preflight, --hangs, --out, "{out}"], timeout: 1s}'
    said = team.cardrunner("launch", team.signed("hangs", ("[python, train.py, preflight]", hanging)), code=4)
    assert "result of the preflight is no end within 1s, so that it was killed, expected exit code 0" in said
    log = (team.root / "runs" / "hangs" / "beside" / "preflight.log").read_text()
    assert "the token is" in log
    assert "tok-5f86d081884c7d65" not in log + said
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"runs/hangs/beside" in read(path)]
    assert left == []


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_data_that_changed_fails_the_run_and_names_each_file(team: Proven, whole: Path) -> None:
    card = team.signed("moved")
    (team.root / "data" / "a.bin").write_text("c" * 100)
    (team.root / "data" / "c.bin").write_text("c" * 100)
    assert "has 3 files, the card says 2" in " ".join(team.cardrunner("plan", card, code=None).split())
    said = team.cardrunner("launch", card, code=4)
    assert "files of data/*.bin is 3, expected 2 (changed: data/a.bin; additional: data/c.bin)" in said
    assert "changed: data/a.bin; additional: data/c.bin" in team.cardrunner("verify", "whole", code=None)
    assert not (team.root / "runs" / "moved" / "beside").exists(), "the preflight needs the data"
