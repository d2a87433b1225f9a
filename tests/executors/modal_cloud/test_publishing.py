"""What stands on the volume at any moment is a run from which one can go on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud.publishing import DELAYS, Publisher, commit_patiently
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import Manifest, read_record
from cardrunner.training.checkpoint import CheckpointSnapshot, CheckpointStore, state_file


def save(folder: RunFolder, step: int) -> None:
    """A state, as a run saves it; one is kept."""
    store = CheckpointStore(folder, keep=1)
    store.prepare()
    file = state_file(epoch=1, step=step)
    store.save(
        [CheckpointSnapshot(file=file, content={"step": step}, epoch=1, step=step, weights_sha256="w", metrics={})]
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Publisher]:
    """Makes the publisher of a run with one state: ``run(commit)``."""

    def make(commit: Callable[[], object] = lambda: None, **more: Any) -> Publisher:
        work, place = RunFolder(tmp_path / "work" / "a-run"), RunFolder(tmp_path / "volume" / "a-run")
        work.root.mkdir(parents=True)
        work.history.write_text("row\n")
        save(work, 8)
        return Publisher(work, place, commit, **more)

    return make


def files(folder: RunFolder) -> set[str]:
    return {path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*") if path.is_file()}


def test_everything_but_passing_thoughts_is_published(run: Callable[..., Publisher]) -> None:
    publisher = run()
    (publisher.work.root / ".half.staging").write_text("half")
    done = publisher.publish()
    assert (done.step, done.tries) == (8, 1)
    assert files(publisher.place) == {"history.jsonl", "checkpoints/manifest.json", state_file(epoch=1, step=8)}
    assert read_record(publisher.place.manifest, Manifest) == read_record(publisher.work.manifest, Manifest)


def test_at_every_moment_the_manifest_there_speaks_of_files_that_are_there(
    run: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = run()
    publisher.publish()
    save(publisher.work, 16)
    publisher.work.history.write_text("row\nrow\n")
    seen: list[int] = []
    replace = Path.replace

    def look(path: Path, target: Path) -> Path:
        result = replace(path, target)
        entries = read_record(publisher.place.manifest, Manifest).entries
        assert all((publisher.place.root / entry.source).exists() for entry in entries)
        if entries[0].step == 16:
            assert publisher.place.history.read_text() == "row\nrow\n"
        seen.append(entries[0].step)
        return result

    monkeypatch.setattr(Path, "replace", look)
    publisher.publish()
    assert seen == [8, 8, 16]
    assert files(publisher.place) == {"history.jsonl", "checkpoints/manifest.json", state_file(epoch=1, step=16)}


def test_a_state_that_is_pushed_out_while_it_is_copied_is_followed_by_the_newer_one(
    run: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = run()
    opened = Path.open

    def late(path: Path, *how: Any, **more: Any) -> Any:
        if path.name == Path(state_file(epoch=1, step=8)).name:
            monkeypatch.setattr(Path, "open", opened)
            save(publisher.work, 16)
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", late)
    assert publisher.publish().step == 16
    assert state_file(epoch=1, step=8) not in files(publisher.place)


def test_only_what_changed_is_copied_again(run: Callable[..., Publisher]) -> None:
    publisher = run()
    publisher.publish()
    state = publisher.place.root / state_file(epoch=1, step=8)
    before = state.stat().st_ino
    publisher.publish()
    assert state.stat().st_ino == before


def test_a_run_that_was_restored_is_as_it_was(run: Callable[..., Publisher], tmp_path: Path) -> None:
    first = run()
    first.publish()
    again = Publisher(RunFolder(tmp_path / "another" / "a-run"), first.place, lambda: None)
    again.restore()
    assert files(again.work) == files(first.place)
    state = first.place.root / state_file(epoch=1, step=8)
    before = state.stat().st_ino
    again.publish()
    assert state.stat().st_ino == before


def test_a_commit_is_tried_again_with_growing_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    answers = iter([RuntimeError("busy"), ConnectionError("gone"), None])

    def commit() -> None:
        if (error := next(answers)) is not None:
            raise error

    assert commit_patiently(commit) == 3
    assert waited == [0.25, 0.5]


def test_a_commit_that_never_works_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def commit() -> None:
        raise RuntimeError("no space left")

    with pytest.raises(EnvironmentFailed, match=f"in {len(DELAYS) + 1} tries: RuntimeError: no space left"):
        commit_patiently(commit)


def written(path: Path, text: str, *, seconds_ago: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    at = time.time() - seconds_ago
    os.utime(path, (at, at))
    return path


def test_what_a_script_is_writing_is_left_until_it_is_at_rest(run: Callable[..., Publisher]) -> None:
    publisher = run()
    out, there = publisher.work.script_out, publisher.place.script_out
    whole = written(out / "checkpoint-8" / "model.bin", "whole", seconds_ago=60)
    written(out / "checkpoint-16" / "model.bin", "tor", seconds_ago=0)
    written(publisher.work.code / "train.py", "", seconds_ago=60)
    os.mkfifo(out / "pipe")
    publisher.publish()
    copied = there / "checkpoint-8" / "model.bin"
    assert copied.stat().st_mtime_ns == whole.stat().st_mtime_ns, "the newest checkpoint is known by its time"
    assert [path for path in files(publisher.place) if path.startswith(("out/", "code"))] == [
        "out/checkpoint-8/model.bin"
    ]
    publisher.publish(final=True)
    assert (there / "checkpoint-16" / "model.bin").read_text() == "tor"


def test_what_a_script_and_its_keeper_have_removed_is_removed_there_too(run: Callable[..., Publisher]) -> None:
    publisher = run()
    for name in ("out/checkpoint-8/model.bin", "kept/0001/checkpoint-8/model.bin", "kept/0001/checkpoint.json"):
        written(publisher.work.root / name, "x", seconds_ago=60)
    publisher.publish()
    assert (publisher.place.kept / "0001" / "checkpoint-8" / "model.bin").exists()
    shutil.rmtree(publisher.work.kept / "0001")
    shutil.rmtree(publisher.work.script_out / "checkpoint-8")
    publisher.publish()
    assert not [name for name in files(publisher.place) if name.startswith(("out/", "kept/"))]
    assert publisher.place.history.exists()
