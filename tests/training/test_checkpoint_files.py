"""Checkpoint files: vouched for, kept as long as asked, and never executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from cardrunner.errors import IntegrityError
from cardrunner.runs.folder import RunFolder
from cardrunner.training.checkpoint import STATE, CheckpointStore, Snapshot, load_checkpoint, state_file


def snapshot(step: int, *, file: str | None = None, role: str = STATE) -> Snapshot:
    name = file or state_file(epoch=1, step=step)
    content = {"step": step, "weights": torch.full((100,), float(step))}
    return Snapshot(file=name, content=content, roles=(role,), epoch=1, step=step, weights_sha256="w" * 64, metrics={})


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
    store.save([snapshot(1, file="best.pt", role="best"), snapshot(1)])
    for step in range(2, 6):
        store.save([snapshot(step)])
    assert names(store) == ["state-e0001-s000000004.pt", "state-e0001-s000000005.pt"]
    assert (store.folder.root / "best.pt").exists()
    assert {entry.file for entry in store.manifest.entries} == {
        "best.pt",
        *(f"checkpoints/{name}" for name in names(store)),
    }


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
