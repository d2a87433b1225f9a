"""What is remembered of a file is believed only while the file is the one it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs import file_memo
from cardrunner.runs.file_memo import SUFFIX, Memo, MemoPlace, marks_of, unchanged

CONTENT = bytes(range(256)) * 400


class Notes(list[str]):
    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "games.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def place(file: Path, tmp_path: Path) -> MemoPlace:
    return MemoPlace(file, tmp_path / "scratch")


def read_bytes(place: MemoPlace, *, notes: Notes | None = None) -> int:
    """How many bytes are read to know the sha256, which is computed where it is not remembered."""
    if place.recall() is not None:
        return 0
    steps: list[int] = []
    found = place.compute(steps.append, note=notes if notes is not None else Notes())
    assert found == hashlib.sha256(place.path.read_bytes()).hexdigest()
    return sum(steps)


def test_a_file_is_read_once(place: MemoPlace) -> None:
    assert [read_bytes(place), read_bytes(place)] == [len(CONTENT), 0]
    assert [path.name for path in place.path.parent.iterdir()] == ["games.bin", f"games.bin{SUFFIX}"]


def forged(place: MemoPlace) -> None:
    """A memo that is sound in itself and names another digest."""
    assert place.remember(Memo(marks=marks_of(place.path), sha256="f" * 64, checks={"values 1": 3})) is None


def test_a_digest_is_computed_from_the_bytes_whatever_a_memo_says_and_takes_its_place(place: MemoPlace) -> None:
    forged(place)
    known = place.recall()
    assert known is not None
    assert known.sha256 == "f" * 64
    digest = place.compute(note=Notes())
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    memo = place.recall()
    assert memo is not None
    assert (memo.sha256, memo.checks) == (digest, {})  # its checks are no better than its digest


def test_a_right_memo_keeps_its_checks_when_the_digest_is_computed(place: MemoPlace) -> None:
    memo = Memo(marks=marks_of(place.path), sha256=hashlib.sha256(CONTENT).hexdigest(), checks={"values 1": 3})
    assert place.remember(memo) is None
    place.compute(note=Notes())
    assert place.recall() == memo


def test_a_forged_memo_that_cannot_be_replaced_is_named(place: MemoPlace) -> None:
    forged(place)
    place.path.parent.chmod(0o555)
    try:
        with pytest.raises(IntegrityError, match=r"a memo names another sha256 than its bytes have, .*; remove it"):
            place.compute(note=Notes())
    finally:
        place.path.parent.chmod(0o755)


def test_what_a_check_found_is_remembered_beside_the_digest(place: MemoPlace) -> None:
    memo = Memo(marks=marks_of(place.path), sha256="0" * 64, checks={"values 1": {"rows": 3}})
    assert place.remember(memo) is None
    assert place.recall() == memo


def appended(path: Path) -> None:
    path.write_bytes(CONTENT + b"x")


def changed_at_once(path: Path) -> None:
    path.write_bytes(CONTENT[:-1] + b"x")


def changed_with_its_old_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(CONTENT[:5] + b"x" + CONTENT[6:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_one_of_the_same_time(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(CONTENT[:-1] + b"x")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    "change", [appended, changed_at_once, changed_with_its_old_time, replaced_by_one_of_the_same_time]
)
def test_a_changed_file_is_read_again(place: MemoPlace, change: Callable[[Path], None]) -> None:
    read_bytes(place)
    time.sleep(0.02)  # the clock of the file system has to move on
    change(place.path)
    assert read_bytes(place) == place.path.stat().st_size


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"sha256":"', '"sha256":"0').replace("0", "1", 1),
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: json.dumps({**json.loads(text), "checksum": "0" * 64}),
        lambda text: text.replace('"checks": {}', '"checks": {"values 1": "all good"}'),
    ],
)
def test_a_tampered_memo_counts_for_nothing(place: MemoPlace, spoil: Callable[[str], str]) -> None:
    read_bytes(place)
    memo = place.candidates[0]
    spoilt = spoil(memo.read_text())
    assert spoilt != memo.read_text()
    memo.write_text(spoilt)
    assert place.recall() is None
    assert read_bytes(place) == len(CONTENT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_strangers_memo_counts_for_nothing(place: MemoPlace) -> None:
    read_bytes(place)
    os.chown(place.candidates[0], 12345, 12345)
    assert place.recall() is None
    os.chown(place.path, 12345, 12345)  # now it is the owner's of the file
    read_bytes(place)
    os.chown(place.candidates[0], 12345, 12345)
    assert place.recall() is not None


def test_a_memo_of_another_file_counts_for_nothing(place: MemoPlace) -> None:
    read_bytes(place)
    other = place.path.with_name("other.bin")
    other.write_bytes(CONTENT)
    place.candidates[0].rename(other.with_name(f"other.bin{SUFFIX}"))
    assert MemoPlace(other, place.fallback).recall() is None


def test_where_inode_numbers_do_not_last_places_in_the_file_are_compared(
    place: MemoPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_memo, "_LASTING", frozenset())
    read_bytes(place)
    before = place.path.stat()
    same = place.path.with_name("same")
    same.write_bytes(CONTENT)
    os.utime(same, ns=(before.st_atime_ns, before.st_mtime_ns))
    same.replace(place.path)
    assert read_bytes(place) == 0
    changed_with_its_old_time(place.path)
    assert read_bytes(place) == len(CONTENT)


def test_a_memo_that_was_copied_with_its_file_counts_for_nothing_elsewhere(
    place: MemoPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_memo, "_LASTING", frozenset())
    read_bytes(place)
    copied = place.path.parent.with_name("copy")
    shutil.copytree(place.path.parent, copied)  # keeps the modification times
    assert MemoPlace(copied / place.path.name, place.fallback).recall() is None


def test_beside_a_folder_that_cannot_be_written_it_lies_in_the_scratch(tmp_path: Path) -> None:
    path = tmp_path / "games.bin"
    path.write_bytes(CONTENT)
    (tmp_path / f"games.bin{SUFFIX}").mkdir()  # nothing can be put in its place
    place = MemoPlace(path, tmp_path / "scratch")
    assert [read_bytes(place), read_bytes(place)] == [len(CONTENT), 0]
    assert len(list((tmp_path / "scratch").iterdir())) == 1


def test_a_folder_marked_read_only_is_left_alone_even_by_root(place: MemoPlace) -> None:
    folder = place.path.parent
    folder.chmod(0o555)
    try:
        assert [read_bytes(place), read_bytes(place)] == [len(CONTENT), 0]
        assert [path.name for path in folder.iterdir()] == ["games.bin"]
    finally:
        folder.chmod(0o755)


def test_where_nothing_can_be_written_a_note_says_so(place: MemoPlace) -> None:
    for candidate in place.candidates:
        candidate.mkdir(parents=True)
    notes = Notes()
    assert [read_bytes(place, notes=notes), read_bytes(place, notes=notes)] == [len(CONTENT)] * 2
    assert notes[0].startswith(f"the check of {place.path} was not recorded, so the next run repeats it")


def test_a_file_that_changes_while_it_is_read_is_refused(file: Path) -> None:
    with (
        pytest.raises(IntegrityError, match="changed while it was read; wait until it is no longer being written"),
        unchanged(file),
    ):
        file.write_bytes(CONTENT + b"x")


def test_an_absent_file_is_the_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="cannot read"):
        marks_of(tmp_path / "absent")


def test_the_marks_of_a_file_change_with_its_last_byte(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_memo, "_LASTING", frozenset())
    file.write_bytes(bytes(1_000_000))
    before = marks_of(file)
    with file.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"x")
    assert marks_of(file).probe != before.probe
