"""What travels to a container, and how it is held against what is found there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.errors import CardrunnerError, IntegrityError, NameTaken
from cardrunner.executors.modal_cloud.orders import (
    check_same,
    frozen_texts,
    write_files,
)
from cardrunner.runs.folder import RunFolder


@pytest.fixture
def launched(toy_run: Callable[..., Any]) -> RunFolder:
    folder: RunFolder = toy_run().folder
    return folder


def test_the_files_of_a_launch_come_back_byte_for_byte(launched: RunFolder, tmp_path: Path) -> None:
    files = json.loads(json.dumps(frozen_texts(launched)))  # as JSON
    there = RunFolder(tmp_path / "there")
    write_files(there, files)
    assert frozen_texts(there) == files
    check_same(there, files, where="/checkpoints/toy-run")
    assert there.card_yaml.read_bytes() == launched.card_yaml.read_bytes()


HARMS: dict[str, tuple[Callable[[RunFolder], object], type[CardrunnerError], str]] = {
    "changed": (
        lambda run: run.approvals.write_text("[]"),
        IntegrityError,
        "approvals.json differs from what was launched",
    ),
    "removed": (
        lambda run: run.approvals.unlink(),
        IntegrityError,
        "approvals.json differs from what was launched: it was rem",
    ),
    "added": (
        lambda run: run.checks.write_text("{}"),
        IntegrityError,
        "checks.json differs from what was launched: it was add",
    ),
    "not text": (
        lambda run: run.card_yaml.write_bytes(b"\xff"),
        IntegrityError,
        "card.yaml is no longer UTF-8 text",
    ),
    "another run": (lambda run: run.launch.write_text("{}"), NameTaken, "/runs/x holds another run; move it away"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_folder_that_is_not_what_was_launched_is_refused(launched: RunFolder, harm: str) -> None:
    act, kind, words = HARMS[harm]
    launched.approvals.write_text('[{"id": "mattie"}]')
    files = frozen_texts(launched)
    act(launched)
    with pytest.raises(kind) as refused:
        check_same(launched, files, where="/runs/x")
    assert words in str(refused.value)


def test_another_run_of_that_name_is_named_by_its_digest(launched: RunFolder) -> None:
    files = frozen_texts(launched)
    launched.launch.write_text(launched.launch.read_text().replace("2026-03-01", "2026-03-02"))
    with pytest.raises(NameTaken, match=r"holds another run, launched at 2026-03-02T12:00:00.000Z from a card with"):
        check_same(launched, files, where="/runs/x")


def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="leaves the run folder"):
        write_files(RunFolder(tmp_path / "there"), {"../outside.json": "{}"})
    assert not (tmp_path / "outside.json").exists()
