"""`cardrunner verify`, as people and scripts call it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from tests.verifying.conftest import Kept, edit_lines, kept as kept, kept_workspace as kept_workspace

Capture = pytest.CaptureFixture[str]


def damaged(folder: RunFolder) -> RunFolder:
    edit_lines(folder.history, lambda rows: rows[0].update(examples=960))
    return folder


def test_a_whole_run_is_0_and_every_check_is_one_line(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(kept("retried").root.parent.parent)
    assert main(["verify", "retried"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("retried: ")
    assert lines[0].endswith(" checks, 0 differences, 1 not or not wholly done")
    assert "  ok           attempts are numbered 1, 2, 3" in lines
    assert [line for line in lines if not line.startswith(" ")][1:] == [
        "ledger", "history", "kill thresholds", "records", "files", "seals", "sign-off",
    ]  # fmt: skip


def test_a_difference_is_4_and_names_file_place_values_and_what_to_do(kept: Kept, capsys: Capture) -> None:
    folder = damaged(kept("retried"))
    assert main(["verify", "retried", "--runs", str(folder.root.parent)]) == 4
    said = capsys.readouterr().out
    assert "  differs      steps, epochs and examples rise together\n" in said
    assert "history.jsonl: line 2: 192 examples at step 6, after 960 at step 3\n" in said
    assert "what to do: put the run's own file back from a backup" in said


def test_json_has_each_check_with_its_findings(kept: Kept, capsys: Capture) -> None:
    folder = damaged(kept("retried"))
    assert main(["verify", "retried", "--runs", str(folder.root.parent), "--json"]) == 4
    said = json.loads(capsys.readouterr().out)
    (row,) = (row for row in said["checks"] if row["result"] == "differs")
    assert said["differences"] == 1
    assert (row["group"], row["found"][0]["file"], row["found"][0]["kind"]) == ("history", "history.jsonl", "changed")
    assert row["advice"]


def test_a_folder_is_looked_at_alone_outside_a_workspace(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    folder = kept("retried")
    moved = tmp_path / "elsewhere" / "retried"
    moved.parent.mkdir()
    folder.root.rename(moved)
    monkeypatch.chdir(tmp_path)
    assert main(["verify", str(moved)]) == 0
    said = capsys.readouterr().out
    assert "the run folder is looked at alone; only its workspace can tell" in said
    assert said.splitlines()[-1].startswith("looked at alone: a workspace could tell more")


@pytest.mark.parametrize("word", ["unknown", "./unknown", "."])
def test_what_is_no_run_is_a_usage_error(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify", word]) == 2
    assert capsys.readouterr().err.strip()


def test_the_installed_command_verifies_a_run_without_torch(kept: Kept) -> None:
    folder = kept("completed")
    place = folder.root.parent.parent
    program = (
        "import sys; from cardrunner.main import main; code = main(); print('torch' in sys.modules); sys.exit(code)"
    )
    quick = subprocess.run(
        [sys.executable, "-c", program, "verify", "completed"], cwd=place, capture_output=True, text=True, check=False
    )
    assert (quick.returncode, quick.stdout.splitlines()[-1]) == (0, "False"), quick.stderr
    damaged(folder)
    found = subprocess.run(
        [sys.executable, "-m", "cardrunner", "verify", "completed", "--json"],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 4
    assert json.loads(found.stdout)["differences"] >= 1
