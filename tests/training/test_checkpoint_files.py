"""Checkpoint files: vouched for, kept as long as asked, and never executed."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner.errors import IntegrityError
from cardrunner.runs.folder import RunFolder
from cardrunner.training.checkpoint import (
    CheckpointSnapshot,
    CheckpointStore,
    export_file,
    load_checkpoint,
    read_checkpoint,
    state_file,
)


def snapshot(step: int, *names: str) -> CheckpointSnapshot:
    """A full state, or an export under these names."""
    file = export_file(epoch=1, step=step) if names else state_file(epoch=1, step=step)
    content = {"step": step, "weights": torch.full((100,), float(step))}
    roles = {f"{name}.pt": name for name in names}
    return CheckpointSnapshot(
        file=file, content=content, names=roles, epoch=1, step=step, weights_sha256="w" * 64, metrics={}
    )


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    found = CheckpointStore(RunFolder(tmp_path / "run"), keep=2)
    found.prepare()
    return found


def refuse(message: str) -> None:
    raise AssertionError(message)


def names(store: CheckpointStore) -> list[str]:
    return sorted(path.name for path in store.folder.checkpoints.glob("*.pt"))


def test_the_newest_state_comes_back(store: CheckpointStore) -> None:
    assert store.newest(refuse) is None
    for step in (5, 10, 7):
        store.save([snapshot(step)])
    found = store.newest(refuse)
    assert found is not None
    entry, content = found
    assert (entry.step, content["step"]) == (10, 10)
    assert torch.equal(content["weights"], torch.full((100,), 10.0))


def test_old_states_go_and_exports_stay(store: CheckpointStore) -> None:
    store.save([snapshot(1, "best"), snapshot(1)])
    for step in range(2, 6):
        store.save([snapshot(step)])
    states = [state_file(epoch=1, step=step) for step in (4, 5)]
    assert names(store) == [Path(name).name for name in (export_file(epoch=1, step=1), *states)]
    assert (store.folder.root / "best.pt").exists()
    assert {entry.file for entry in store.manifest.entries} == {"best.pt", *states}


def test_an_export_is_written_once_and_goes_when_no_name_leads_to_it(store: CheckpointStore) -> None:
    store.save([snapshot(1, "best", "latest")])
    store.save([snapshot(2, "latest")])
    one, two = (store.folder.root / export_file(epoch=1, step=step) for step in (1, 2))
    assert (store.folder.root / "best.pt").samefile(one)
    assert (store.folder.root / "latest.pt").samefile(two)
    store.save([snapshot(3, "best", "latest")])
    assert names(store) == [Path(export_file(epoch=1, step=3)).name]


def test_without_links_a_name_is_a_copy(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_links(source: Path, target: Path) -> None:
        raise OSError("this file system has none")

    monkeypatch.setattr(os, "link", refuse_links)
    store.save([snapshot(1, "best")])
    best = store.folder.root / "best.pt"
    before = best.stat()
    store.save([snapshot(2)])
    assert best.read_bytes() == (store.folder.root / export_file(epoch=1, step=1)).read_bytes()
    assert best.stat().st_ino == before.st_ino  # a copy is made once


class Killed(BaseException):
    pass


def test_killed_between_any_two_renames_every_name_still_leads_to_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = Path.replace, 0

    def dying(self: Path, target: Path) -> Path:
        nonlocal calls
        calls -= 1
        if calls < 0:
            raise Killed
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    for left in range(6):
        calls = 99
        store = CheckpointStore(RunFolder(tmp_path / f"run-{left}"), keep=1)
        store.prepare()
        store.save([snapshot(1, "best", "latest"), snapshot(1)])
        calls = left
        with contextlib.suppress(Killed):
            store.save([snapshot(2, "best", "latest"), snapshot(2)])
        calls = 99
        found = {entry.file: read_checkpoint(store.folder, entry)["step"] for entry in store.manifest.entries}
        assert len(set(found.values())) == 1, left  # what was saved together belongs together
        store.prepare()
        for name in ("best.pt", "latest.pt"):
            assert load_checkpoint(store.folder.root / name)["step"] == found[name]


def test_a_file_that_a_crash_left_without_an_entry_is_not_used_and_goes_with_the_next_save(
    store: CheckpointStore,
) -> None:
    store.save([snapshot(1)])
    orphan = store.folder.root / state_file(epoch=1, step=9)
    orphan.write_bytes(b"whole, but nobody vouches for it")
    staging = store.folder.checkpoints / ".state-e0001-s000000010.pt.staging"
    staging.write_bytes(b"half")
    store.prepare()
    found = store.newest(refuse)
    assert found is not None
    assert found[0].step == 1
    store.save([snapshot(2)])
    assert not orphan.exists()
    assert not staging.exists()


def test_the_manifest_says_which_bytes_are_meant(store: CheckpointStore) -> None:
    store.save([snapshot(1), snapshot(2)])
    newest = store.folder.root / state_file(epoch=1, step=2)
    other = store.folder.root / state_file(epoch=1, step=1)
    newest.write_bytes(other.read_bytes())  # a valid checkpoint, but not this one
    told: list[str] = []
    found = store.newest(told.append)
    assert found is not None
    assert found[0].step == 1
    assert len(told) == 1
    assert "manifest says" in told[0]


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, ("exploded",)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.pt"
    torch.save({"bomb": Bomb()}, path)
    with pytest.raises(IntegrityError, match=r"bomb\.pt is not a checkpoint"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(IntegrityError):
        load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("data", [b"", b"x", b"PK\x03\x04 not a zip after all"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"x\.pt"):
        load_checkpoint(path)


def test_a_checkpoint_is_a_mapping(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "x.pt")
    with pytest.raises(IntegrityError, match="holds list"):
        load_checkpoint(tmp_path / "x.pt")
