"""What travels to a container, and how it is held against what is found there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.errors import CardrunnerError, GateClosed, IntegrityError, NameTaken
from cardrunner.executors.modal_cloud.orders import (
    Order,
    check_same,
    frozen_texts,
    order_of,
    write_files,
    write_judges,
)
from cardrunner.launching.judgement import check_launched
from cardrunner.launching.launch import LaunchOptions, launch
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import LaunchRecord, RemoteRun, read_record, write_record
from cardrunner.tracking.progress import NullProgress


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
    other = read_record(launched.launch, LaunchRecord).model_copy(update={"created": "2026-03-02T12:00:00.000Z"})
    write_record(launched.launch, other)
    with pytest.raises(NameTaken, match=r"holds another run, launched at 2026-03-02T12:00:00.000Z from a card with"):
        check_same(launched, files, where="/runs/x")


def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="leaves the run folder"):
        write_files(RunFolder(tmp_path / "there"), {"../outside.json": "{}"})
    assert not (tmp_path / "outside.json").exists()


# ---------------------------------------------------------------- what judges it there


def away(workspace: Path, name: str) -> Path:
    """A folder outside the workspace, as a container has it."""
    return workspace.parent / f"{workspace.name}-{name}"


def arrived(folder: RunFolder, container: Path) -> RunFolder:
    """The run as a container writes it from its order."""
    remote = RemoteRun(executor="modal", submission="first", volume="v", path="/x", seen="2026-03-01T12:00:00.000Z")
    order = Order.model_validate(order_of(folder, remote, app="ap-1").model_dump(mode="json"))
    work = RunFolder(container / folder.name, write_judges(container / ".judges", order))
    write_files(work, order.files)
    return work


@pytest.fixture
def submitted(make_card: Callable[..., Path], tmp_path: Path) -> RunFolder:
    """A run in a workspace inside another one."""
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: boxes}\n")
    inner = tmp_path / "exp" / "runcards"
    inner.mkdir(parents=True)
    card = make_card({"training.toy.raise_at": 3}).rename(inner / "toy-run.yaml")
    return RunFolder(launch(card, LaunchOptions(), progress=NullProgress()).folder.root, tmp_path / "exp")


def test_a_container_judges_by_what_was_sent_with_its_submission(submitted: RunFolder, tmp_path: Path) -> None:
    work = arrived(submitted, away(tmp_path, "container"))
    (tmp_path / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    assert check_launched(work)
    later = arrived(submitted, away(tmp_path, "later"))
    (tmp_path / "cardrunner.yaml").unlink()
    with pytest.raises(GateClosed, match=r"sign_off\.policy: is boxes, and .*cardrunner\.yaml asks for ssh"):
        check_launched(later)


def test_a_block_travels_to_the_container(submitted: RunFolder, tmp_path: Path) -> None:
    block = tmp_path / ".cardrunner" / "blocks" / "toy-run" / "lee.json"
    block.parent.mkdir(parents=True)
    block.write_text('{"at": "2026-03-01T12:00:00Z"}')
    with pytest.raises(GateClosed, match="reviewer lee: has blocked this run"):
        check_launched(arrived(submitted, away(tmp_path, "container")))


def test_a_file_that_is_not_the_admitted_one_does_not_train_in_a_container(
    submitted: RunFolder, tmp_path: Path
) -> None:
    work = arrived(submitted, away(tmp_path, "container"))
    work.approvals.write_text("[]")
    with pytest.raises(IntegrityError, match=r"approvals\.json was changed after the launch"):
        check_launched(work)


def test_rules_that_leave_their_folder_are_refused(submitted: RunFolder, tmp_path: Path) -> None:
    remote = RemoteRun(executor="modal", submission="first", volume="v", path="/x", seen="2026-03-01T12:00:00.000Z")
    order = order_of(submitted, remote, app="ap-1").model_copy(update={"judges": {"../cardrunner.yaml": ""}})
    with pytest.raises(IntegrityError, match="leaves the folder of the rules"):
        write_judges(tmp_path / "container", order)
