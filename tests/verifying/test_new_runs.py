"""Runs of this version: their lines, records and files are sealed, and the workspace keeps what it admitted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.errors import IntegrityError
from cardrunner.gate.admission import launched_path
from cardrunner.launching.launch import LaunchOptions, launch
from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import LaunchRecord, read_record, write_record
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


@pytest.fixture
def extending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A completed run of a card that extends one and is signed by its digest."""
    whole = json.loads(toy_text({"sign_off": {"policy": "digest", "reviewers": [{"id": "mattie", "signed": None}]}}))
    own = {name: whole.pop(name) for name in ("name", "sign_off", "repeat")}
    (tmp_path / "runcards").mkdir()
    (tmp_path / "runcards" / "base.yaml").write_text(json.dumps({**whole, "name": "base"}))
    card = tmp_path / "runcards" / "toy-run.yaml"
    card.write_text(json.dumps({"card": 1, "extends": "base.yaml", **own}, indent=2))
    monkeypatch.chdir(tmp_path)
    assert main(["sign", str(card), "--as", "mattie", "--yes"]) == 0
    assert launch(card, LaunchOptions(), progress=NullProgress()).exit_code == 0
    return RunFolder(tmp_path / "runs" / "toy-run")


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


def test_a_run_that_calls_itself_older_than_its_checksums_is_not_admitted(run: RunFolder) -> None:
    write_record(run.launch, read_record(run.launch, LaunchRecord).model_copy(update={"recorded": False}))
    assert "has no admission of this launch" in " ".join(differing(run)[ADMITTED])


def test_alone_it_says_that_only_the_workspace_can_tell_of_the_admission(run: RunFolder) -> None:
    (answer,) = (each for each in looked_at(run, alone=True) if each.check.name == ADMITTED)
    assert answer.word == "not checked"


def test_an_admission_that_cannot_be_read_is_a_difference(run: RunFolder) -> None:
    launched_path(Workspace(run.root.parent.parent).records, "toy-run").write_text("<<<<<<< mine\n")
    assert ".cardrunner/launched/toy-run.json: " in " ".join(differing(run)[ADMITTED])


def test_an_admission_of_another_digest_than_its_own_launch_has_is_the_one_that_differs(run: RunFolder) -> None:
    record = launched_path(Workspace(run.root.parent.parent).records, "toy-run")
    digest = record.read_text().split('"digest": "')[1][:64]
    swap(record, digest, "0" * 64)
    assert [line.partition(": ")[0] for line in differing(run)[ADMITTED]] == [".cardrunner/launched/toy-run.json"]


def test_a_run_without_its_ledger_is_damaged_and_not_unknown(run: RunFolder) -> None:
    run.ledger.unlink()
    with pytest.raises(IntegrityError, match=r"ledger\.jsonl is missing, so that no more is known of run toy-run"):
        RunFolder.existing(run.root.parent, "toy-run")


def test_a_base_of_the_card_that_is_another_ones_is_a_difference_and_no_bug(extending: RunFolder) -> None:
    swap(extending.root / "sources" / "1-base.yaml", '"epochs": 3', '"epochs": 2')
    assert "signed different content" in str(differing(extending))
