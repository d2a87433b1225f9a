"""Runs of this version: their lines, records and files are sealed, and the workspace keeps what it admitted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.gate.admission import launched_path
from cardrunner.launching.launch import LaunchOptions, launch
from cardrunner.runs.folder import RunFolder
from cardrunner.tracking.progress import NullProgress
from cardrunner.workspace import Workspace
from tests.conftest import toy_text
from tests.verifying.conftest import differing, looked_at

SEALED = "lines, records and files are as they were written and sealed"
ADMITTED = "the workspace admitted this launch, with these files"


@pytest.fixture(scope="module")
def completed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a completed run; nothing may change it."""
    workspace = tmp_path_factory.mktemp("completed")
    (workspace / "runcards").mkdir()
    card = workspace / "runcards" / "toy-run.yaml"
    card.write_text(
        toy_text({"repeat": False, "after_training.download": {"checkpoint": "best", "to": "out/toy-run.pt"}})
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        assert launch(card, LaunchOptions(), progress=NullProgress()).exit_code == 0
    return workspace


@pytest.fixture
def run(completed: Path, tmp_path: Path) -> RunFolder:
    """A copy of it in a copy of its workspace."""
    shutil.copytree(completed, tmp_path / "workspace")
    return RunFolder(tmp_path / "workspace" / "runs" / "toy-run")


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def last_digit(folder: RunFolder) -> None:
    """Another last digit of a metric that decides nothing: only a checksum can tell."""
    line = folder.history.read_text().splitlines()[0]
    value = line.split('"loss/total": ')[1].split(",")[0].rstrip("}")
    swap(folder.history, value, value[:-1] + ("1" if value[-1] != "1" else "2"))


def test_a_completed_run_has_no_difference_and_nothing_is_unsealed(run: RunFolder) -> None:
    assert differing(run) == {}
    (answer,) = (each for each in looked_at(run) if each.check.name == SEALED)
    assert answer.word == "ok"


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (last_digit, "history.jsonl"),
        (lambda folder: swap(folder.record("train"), '"seconds": ', '"seconds": 1'), "stages/train.json"),
        (lambda folder: swap(folder.results, "toy", "toi"), "results.md"),
    ],
    ids=["a digit of the history", "a digit of a record", "a word of the page"],
)
def test_what_no_other_record_has_is_found_by_its_checksum(
    run: RunFolder, damage: Callable[[RunFolder], object], file: str
) -> None:
    damage(run)
    found = differing(run)
    assert SEALED in found
    assert file in " ".join(found[SEALED])


def test_a_card_of_the_launch_that_was_exchanged_is_not_what_was_admitted(run: RunFolder) -> None:
    swap(run.plan, '"run"', '"ran"')
    assert "plan.json: its sha256 is" in " ".join(differing(run)[ADMITTED])


def test_a_run_that_the_workspace_did_not_admit_differs(run: RunFolder) -> None:
    launched_path(Workspace(run.root.parent.parent).records, "toy-run").unlink()
    assert "has no admission of this launch" in " ".join(differing(run)[ADMITTED])


def test_alone_it_says_that_only_the_workspace_can_tell_of_the_admission(run: RunFolder) -> None:
    (answer,) = (each for each in looked_at(run, alone=True) if each.check.name == ADMITTED)
    assert answer.word == "not checked"
