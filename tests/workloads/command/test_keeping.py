"""Checkpoints are kept when they are whole and at rest, and nothing else is."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from cardrunner.runs import copies
from cardrunner.runs.files import sha256_file
from cardrunner.workloads.command import keeping
from cardrunner.workloads.command.checkpoints import CheckpointRules
from cardrunner.workloads.command.keeping import Keeper, kept_in
from cardrunner.workloads.command.steps import ReportedSteps
from tests.workloads.command.conftest import saved_step


def saved(step: int) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(zipfile.ZipInfo("state.json"), json.dumps({"step": step}))
    return whole.getvalue()


def save_folder(folder: Path, step: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "model.pt").write_bytes(saved(step))
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def keeper_of(out: Path, *globs: str, keep: int = 2, complete: tuple[str, ...] = ()) -> Keeper:
    rules = CheckpointRules(at=tuple(f"{out}/{glob}" for glob in globs), root=out, keep=keep, complete=complete)
    return Keeper(rules, out.parent / "kept", spare_bytes=0)


def steps_kept(out: Path) -> list[int]:
    return [saved_step(kept.content) for kept in kept_in(out.parent / "kept")]


def test_a_file_is_copied_at_the_second_look_that_finds_it_unchanged(out: Path) -> None:
    keeper = keeper_of(out, "ckpt.pt")
    (out / "ckpt.pt").write_bytes(saved(1))
    assert keeper.look().kept == ()
    (out / "ckpt.pt").write_bytes(saved(20))
    assert keeper.look().kept == ()
    reported = ReportedSteps()
    reported.note(25)
    (kept,) = keeper.look(reported).kept
    assert keeper.look().kept == ()
    assert kept.content.read_bytes() == saved(20)
    assert not kept.content.samefile(out / "ckpt.pt")
    assert kept.intact
    record = kept.record
    assert (record.path, record.kind, record.numbered) == ("out/ckpt.pt", "file", False)
    assert kept.path == out / "ckpt.pt"
    assert (record.step, record.step_from, record.reported_step) == (None, None, 25)
    assert (record.size, record.sha256) == (len(saved(20)), sha256_file(out / "ckpt.pt"))
    assert record.modified == (out / "ckpt.pt").stat().st_mtime_ns == kept.content.stat().st_mtime_ns


def test_a_torn_file_is_not_kept_and_the_copies_before_it_stay(out: Path) -> None:
    keeper = keeper_of(out, "ckpt.pt")
    for data in (saved(1), saved(20)[:-5], b""):
        (out / "ckpt.pt").write_bytes(data)
        for _ in range(3):
            keeper.look()
    assert steps_kept(out) == [1]


def test_the_last_few_copies_of_each_name_are_kept(out: Path) -> None:
    keeper = keeper_of(out, "*.pt")
    for step in range(1, 6):
        (out / "last.pt").write_bytes(saved(step * 100))
        if step == 2:
            (out / "best.pt").write_bytes(saved(2))
        keeper.look()
        keeper.look()
    assert sorted(steps_kept(out)) == [2, 400, 500]


def test_what_is_pinned_stays(out: Path) -> None:
    keeper = keeper_of(out, "ckpt.pt", keep=1)
    for step in (1, 20, 300):
        (out / "ckpt.pt").write_bytes(saved(step))
        keeper.look()
        for kept in keeper.look().kept:
            keeper.pin({kept.record.sha256} if step == 1 else keeper._pinned)
    assert steps_kept(out) == [300, 1]


def test_numbered_checkpoints_are_linked_and_outlive_the_rotation_of_the_script(out: Path) -> None:
    keeper = keeper_of(out, "checkpoint-*", complete=("trainer_state.json",))
    for step in (10, 20, 30):
        save_folder(out / f"checkpoint-{step}", step)
        keeper.look()
        (kept,) = keeper.look().kept
        assert (kept.content / "model.pt").samefile(out / f"checkpoint-{step}" / "model.pt")
        assert (kept.record.step, kept.record.step_from) == (step, "trainer_state.json")
        shutil.rmtree(out / f"checkpoint-{step - 10}", ignore_errors=True)
    assert steps_kept(out) == [30, 20]
    assert all(kept.intact for kept in kept_in(out.parent / "kept"))


def test_a_folder_without_its_last_file_is_not_kept(out: Path) -> None:
    keeper = keeper_of(out, "checkpoint-*", complete=("trainer_state.json",))
    save_folder(out / "checkpoint-10", 10)
    (out / "checkpoint-10" / "trainer_state.json").unlink()
    assert [keeper.look().kept for _ in range(3)] == [(), (), ()]


def test_a_folder_that_is_overwritten_in_place_is_copied(out: Path) -> None:
    keeper = keeper_of(out, "latest")
    for step in (1, 20):
        save_folder(out / "latest", step)
        keeper.look()
        keeper.look()
    assert steps_kept(out) == [20, 1]
    assert not any((kept.content / "model.pt").samefile(out / "latest" / "model.pt") for kept in kept_in(keeper.folder))


def test_a_numbered_name_that_is_overwritten_all_the_same_is_copied_from_then_on(out: Path) -> None:
    keeper = keeper_of(out, "*.pt")
    (out / "model-v2.pt").write_bytes(saved(1))
    keeper.look()
    (linked,) = keeper.look().kept
    for step in (20, 300):
        (out / "model-v2.pt").write_bytes(saved(step))
        keeper.look()
        keeper.look()
    assert steps_kept(out) == [300, 20]
    assert not linked.folder.exists()


def test_a_link_whose_file_was_overwritten_is_not_intact(out: Path) -> None:
    keeper = keeper_of(out, "*.pt")
    (out / "step-1.pt").write_bytes(saved(1))
    keeper.look()
    (linked,) = keeper.look().kept
    (out / "step-1.pt").write_bytes(saved(2))
    assert not linked.intact


def test_another_attempt_does_not_keep_the_same_again(out: Path) -> None:
    (out / "ckpt.pt").write_bytes(saved(1))
    first = keeper_of(out, "ckpt.pt")
    first.look()
    first.look()
    (out.parent / "kept" / ".staging").mkdir()
    second = keeper_of(out, "ckpt.pt")
    assert [second.look().kept for _ in range(3)] == [(), (), ()]
    assert sorted(path.name for path in second.folder.iterdir()) == ["0001"]


def test_a_file_that_changes_while_it_is_copied_is_kept_later(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def put(source: Path, target: Path, *, link: bool = False) -> str:
        digest = copies.put(source, target, link=link)
        (out / "ckpt.pt").write_bytes(saved(20))
        return digest

    keeper = keeper_of(out, "ckpt.pt")
    (out / "ckpt.pt").write_bytes(saved(1))
    keeper.look()
    monkeypatch.setattr(keeping, "put", put)
    assert keeper.look() == keeping.Looked((), ())
    monkeypatch.undo()
    keeper.look()
    assert len(keeper.look().kept) == 1
    assert steps_kept(out) == [20]


def test_a_full_disk_is_said_once_and_tried_again_when_the_file_changes(out: Path) -> None:
    keeper = keeper_of(out, "ckpt.pt")
    keeper._spare = 1 << 60
    (out / "ckpt.pt").write_bytes(saved(1))
    keeper.look()
    (problem,) = keeper.look().problems
    assert problem.startswith(f"no copy of {out / 'ckpt.pt'} was kept: the disk has ")
    assert problem.endswith("free some space, or a stop while the script overwrites it loses the run")
    assert keeper.look() == keeping.Looked((), ())
    keeper._spare = 0
    (out / "ckpt.pt").write_bytes(saved(20))
    keeper.look()
    keeper.look()
    assert steps_kept(out) == [20]
    assert not (keeper.folder / ".staging").exists()


def test_a_disk_that_fails_while_it_is_written_is_a_sentence(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    keeper = keeper_of(out, "ckpt.pt")
    (out / "ckpt.pt").write_bytes(saved(1))
    keeper.look()
    monkeypatch.setattr(os, "fsync", fail)
    (problem,) = keeper.look().problems
    assert "the disk is full; free some space" in problem
    assert [path.name for path in keeper.folder.iterdir()] == []


def test_what_is_refused_is_said_once(out: Path) -> None:
    (out / "ckpt.pt").symlink_to("/etc/hostname")
    keeper = keeper_of(out, "ckpt.pt")
    assert "it is a link to /etc/hostname" in keeper.look().problems[0]
    assert keeper.look().problems == ()
    assert kept_in(keeper.folder) == []


def test_a_copy_whose_record_is_damaged_is_not_in_the_way_of_the_next(out: Path) -> None:
    keeper = keeper_of(out, "ckpt.pt")
    for step in (1, 2):
        (out / "ckpt.pt").write_bytes(saved(step))
        os.utime(out / "ckpt.pt", (step, step))
        for _ in range(2):
            keeper.look()
        (out.parent / "kept" / "0001" / "checkpoint.json").write_text("")
    (kept,) = kept_in(out.parent / "kept")
    assert (kept.folder.name, saved_step(kept.content)) == ("0002", 2)


def test_an_older_checkpoint_that_was_kept_once_is_not_kept_again_at_the_next_start(out: Path) -> None:
    keeper = keeper_of(out, "step-*.json")
    for step in (1, 2, 3):
        (out / f"step-{step}.json").write_text(json.dumps({"step": step}))
        os.utime(out / f"step-{step}.json", (step, step))
        for _ in range(2):
            keeper.look()
    names = [kept.path.name for kept in kept_in(out.parent / "kept")]
    assert names == ["step-3.json", "step-2.json"]
    again = keeper_of(out, "step-*.json")
    assert [again.look().kept for _ in range(3)] == [(), (), ()]
    assert [kept.path.name for kept in kept_in(out.parent / "kept")] == names
