"""What the commands say about a run folder that was damaged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from tests.conftest import MakeCard

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def completed(signed_card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    assert main(["launch", str(signed_card), "--quiet"]) == 0
    capsys.readouterr()
    return RunFolder.of(tmp_path / "runs", "toy-run")


@pytest.fixture
def stopped(make_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> RunFolder:
    """A run that a step ended, with a checkpoint before it."""
    monkeypatch.chdir(tmp_path)
    assert main(["launch", str(make_card({"training.toy.raise_at": 12})), "--quiet"]) != 0
    capsys.readouterr()
    return RunFolder.of(tmp_path / "runs", "toy-run")


def better(folder: RunFolder) -> None:
    """Make the validation losses of the history look better than they were."""
    text = folder.history.read_text()
    folder.history.write_text(re.sub(r'"val_loss/total": 0\.\d', '"val_loss/total": 0.0', text))


def status(capsys: Capture) -> list[str]:
    assert main(["status", "toy-run", "--json"]) == 0
    found: list[str] = json.loads(capsys.readouterr().out)["damage"]
    return found


def test_a_whole_run_has_no_damage(completed: RunFolder, capsys: Capture) -> None:
    assert status(capsys) == []
    assert main(["report", "toy-run"]) == 0
    assert main(["demo", "toy-run"]) in (0, 2)
    assert main(["download", "toy-run"]) == 0
    assert main(["finish", "toy-run", "--quiet"]) == 0
    capsys.readouterr()
    assert status(capsys) == []
    assert "damaged" not in completed.results.read_text()


def test_status_names_each_damaged_file_in_one_line(completed: RunFolder, capsys: Capture) -> None:
    better(completed)
    completed.approvals.write_text("[]")
    first, second = status(capsys)
    assert first.startswith("history.jsonl: 3 changed; first: line ")
    assert second.startswith("approvals.json: changed: it is not what was sealed")
    assert main(["status", "toy-run"]) == 0
    assert f"  folder       {first}\n" in capsys.readouterr().out


def test_the_report_says_at_the_top_that_records_contradict_each_other(completed: RunFolder, capsys: Capture) -> None:
    better(completed)
    assert main(["report", "toy-run"]) == 0
    page = completed.results.read_text()
    assert "✗ The run folder is damaged: history.jsonl: " in page
    assert "✗ The records contradict each other: val_loss/total at step " in page
    assert page.index("contradict each other") < page.index("\n## ")
    capsys.readouterr()
    assert any(line.startswith("history.jsonl") for line in status(capsys))  # the report gave it no new seal


def test_a_damaged_train_record_is_named_and_the_rest_is_shown(completed: RunFolder, capsys: Capture) -> None:
    path = completed.record("train")
    path.write_text(path.read_text().replace('"weights_sha256": "', '"weights_sha256": "0'))
    (line,) = status(capsys)
    assert line.startswith("stages/train.json: changed: it is not what was written")
    assert main(["report", "toy-run"]) == 0
    assert "stages/train.json" in completed.results.read_text()


@pytest.mark.parametrize("name", ["history.jsonl", "ledger.jsonl", "checkpoints/manifest.json", "approvals.json"])
def test_a_resume_of_a_run_that_lost_what_it_needs_is_refused(stopped: RunFolder, name: str, capsys: Capture) -> None:
    path = stopped.root / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + data[len(data) // 2 :])
    assert main(["resume", "toy-run", "--quiet"]) == 4
    assert name in capsys.readouterr().err
    path.write_bytes(data)
    assert main(["resume", "toy-run", "--quiet"]) == 0


def test_a_resume_makes_what_else_is_damaged_anew(stopped: RunFolder, capsys: Capture) -> None:
    stopped.results.write_text("a forged page\n")
    assert main(["resume", "toy-run"]) == 0
    assert "results.md: changed: it is not what was sealed" in capsys.readouterr().err
    assert status(capsys) == []


def test_attach_names_damage(completed: RunFolder, capsys: Capture) -> None:
    better(completed)
    assert main(["attach", "toy-run", "--quiet"]) == 0
    assert "warning: history.jsonl: 3 changed" in capsys.readouterr().err
