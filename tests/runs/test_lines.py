from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from cardrunner.runs.events import NoteLeft
from cardrunner.runs.jsonl import append_line, read_lines
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.lines import (
    LinesAnchor,
    LinesReport,
    anchor_of,
    checksum,
    examine_lines,
    is_as_written,
    is_torn,
    seal_of,
    sealed,
)


def written(rows: int, *, by: str = "0a1b2c3d") -> list[bytes]:
    """The lines of one writer, without their ends."""
    lines: list[bytes] = []
    after = None
    for number in range(rows):
        row = {"event": "note", "number": number, "by_hand": {"by": "example", "sum": "NaN"}}
        lines.append(sealed(json.dumps(row).encode() + b"\n", by=by, after=after).rstrip(b"\n"))
        seal = seal_of(lines[-1])
        after = seal.sum if seal else None
    return lines


def examined(path: Path, lines: list[bytes], *, end: bytes = b"\n") -> LinesReport:
    path.write_bytes(b"\n".join(lines) + end)
    return examine_lines(path)


def kinds(report: LinesReport) -> set[str]:
    return {damage.kind for damage in report.damage}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "ledger.jsonl"


def test_a_line_ends_with_its_writer_the_line_before_and_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for text in ("one", "two"):
        append_line(path, {"text": text}, durable=False)
    first, second = map(json.loads, path.read_bytes().splitlines())
    assert list(first) == ["text", "by", "after", "sum"]
    assert first["after"] is None
    assert (second["by"], second["after"]) == (first["by"], first["sum"])
    line = path.read_bytes().splitlines()[1]
    assert second["sum"] == checksum(line[: line.rindex(b', "sum": "')])


def test_readers_are_not_shown_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append_line(path, {"text": "one"}, durable=False)
    append_line(path, {}, durable=False)
    assert read_lines(path) == [{"text": "one"}, {}]


def test_what_was_written_is_whole(file: Path) -> None:
    report = examined(file, written(4))
    assert (report.lines, report.sealed, report.damage) == (4, 4, ())


def test_lines_of_an_earlier_version_are_unsealed_and_no_damage(file: Path) -> None:
    report = examined(file, [b'{"event": "created"}', b'{"set": {"by": "example"}}', *written(2)])
    assert report.unsealed
    assert kinds(report) == {"unsealed"}
    assert not any(damage.grave for damage in report.damage)


def test_a_line_without_a_checksum_among_others_is_named(file: Path) -> None:
    first, second = written(2)
    (damage,) = examined(file, [first, b'{"event": "finished"}', second]).damage
    assert (damage.kind, damage.grave) == ("unexpected", True)
    assert "line 2" in damage.what


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_named(file: Path, data: st.DataObject) -> None:
    whole = b"\n".join(written(3)) + b"\n"
    at = data.draw(st.integers(0, len(whole) - 2))  # without the end of the last line: the line is whole without it
    bit = data.draw(st.integers(0, 7))
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    found = examine_lines(file).damage
    assert any(damage.grave for damage in found), found


@pytest.mark.parametrize("digit", range(16))
def test_any_changed_digit_of_a_checksum_is_named(file: Path, digit: int) -> None:
    lines = written(3)
    at = len(lines[1]) - 18 + digit
    lines[1] = lines[1][:at] + (b"0" if lines[1][at : at + 1] != b"0" else b"1") + lines[1][at + 1 :]
    (damage,) = examined(file, lines).damage
    assert damage.what.startswith("line 2 is not what was written")


@given(gone=st.integers(0, 3))
@settings(deadline=None)
def test_a_lost_line_is_missing(file: Path, gone: int) -> None:
    lines = written(5)
    del lines[gone]
    (damage,) = examined(file, lines).damage
    assert damage.kind == "missing"
    assert f"before line {gone + 1}" in damage.what


@given(at=st.integers(0, 4), to=st.integers(1, 5))
@settings(deadline=None)
def test_a_doubled_line_is_named(file: Path, at: int, to: int) -> None:
    lines = written(5)
    lines.insert(max(at + 1, to), lines[at])
    found = examined(file, lines).damage
    assert any(f"repeats line {at + 1}" in damage.what for damage in found)


@given(pair=st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(lambda pair: pair[0] != pair[1]))
@settings(deadline=None)
def test_swapped_lines_are_named(file: Path, pair: tuple[int, int]) -> None:
    lines, (one, other) = written(5), pair
    lines[one], lines[other] = lines[other], lines[one]
    assert kinds(examined(file, lines)) == {"changed"}


def test_lines_of_several_writers_may_be_merged_in_any_order(file: Path) -> None:
    one, two = written(3, by="11111111"), written(3, by="22222222")
    assert examined(file, [one[0], two[0], two[1], one[1], one[2], two[2]]).damage == ()


@given(cut=st.integers(1, 10_000))
@settings(deadline=None, max_examples=150)
def test_a_torn_tail_is_torn(file: Path, cut: int) -> None:
    lines = written(3)
    fragment = lines[2][: 1 + cut % (len(lines[2]) - 1)]
    report = examined(file, [*lines[:2], fragment], end=b"")
    assert kinds(report) == {"torn"}
    assert not any(damage.grave for damage in report.damage)
    assert kinds(examined(file, [*lines[:2], fragment, *written(2, by="99999999")])) == {"torn"}  # ended by a later one


def test_a_tail_of_zeros_is_torn(file: Path) -> None:
    assert kinds(examined(file, [*written(2), b"\0" * 40], end=b"")) == {"torn"}


def test_a_line_cut_in_the_middle_of_a_file_is_missing(file: Path) -> None:
    lines = written(3)
    lines[1] = lines[1][:30]
    assert kinds(examined(file, lines)) == {"torn", "missing"}


def test_a_whole_line_with_something_after_it_is_not_torn() -> None:
    (line,) = written(1)
    assert not is_torn(line + b"x")
    assert is_torn(line[:-1])


def test_a_line_that_broke_off_begins_another_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    append_line(path, {"number": 1}, durable=False)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:20]) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        append_line(path, {"number": 2}, durable=False)
    monkeypatch.undo()
    append_line(path, {"number": 3}, durable=False)
    assert kinds(examine_lines(path)) == {"torn"}
    assert [row["number"] for row in read_lines(path)] == [1, 3]


def test_a_file_made_anew_begins_another_chain(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for _ in range(4):  # file systems give the numbers of removed files again
        append_line(path, {"number": 1}, durable=False)
        append_line(path, {"number": 2}, durable=False)
        assert examine_lines(path).damage == ()
        path.unlink()


def test_a_forked_process_is_another_writer(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    append_line(path, {"number": 1}, durable=False)
    if (child := os.fork()) == 0:
        append_line(path, {"number": 2}, durable=False)
        os._exit(0)
    os.waitpid(child, 0)
    append_line(path, {"number": 3}, durable=False)
    report = examine_lines(path)
    assert (report.damage, len(report.last)) == ((), 2)


def test_processes_that_append_at_once_leave_chains(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    code = (
        "import sys; from pathlib import Path; from cardrunner.runs.jsonl import append_line\n"
        "for n in range(60): append_line(Path(sys.argv[1]), {'n': n}, durable=False)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    report = examine_lines(path)
    assert (report.lines, report.damage, len(report.last)) == (180, (), 3)


def test_a_secret_hidden_in_a_merged_line_leaves_the_chain_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Ledger(tmp_path / "there.jsonl")
    for text in ("first", "it is xyzzy-12345", "last"):
        there.append(NoteLeft(message=text))
    monkeypatch.setenv("MY_SERVICE_TOKEN", "xyzzy-12345")
    here = Ledger(tmp_path / "here.jsonl")
    for _ in range(2):
        here.add_missing(there.lines())
    assert [event.message for event in here.events(NoteLeft)] == ["first", "it is [MY_SERVICE_TOKEN hidden]", "last"]
    assert examine_lines(here.path).damage == ()
    assert all(map(is_as_written, here.path.read_bytes().splitlines()))


def test_a_merged_line_keeps_its_bytes(tmp_path: Path) -> None:
    here, there = Ledger(tmp_path / "here.jsonl"), Ledger(tmp_path / "there.jsonl")
    there.append(NoteLeft(message="hello"))
    here.append(NoteLeft(message="here"))
    here.add_missing(there.lines())
    assert here.path.read_bytes().endswith(there.path.read_bytes())
    assert examine_lines(here.path).damage == ()


@pytest.mark.parametrize("tail", [b"", b'{"number": 4, "t'])
def test_an_anchor_is_the_end_of_the_last_whole_line(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    assert anchor_of(path) == LinesAnchor(bytes=0, last=None)
    lines = written(3)
    lines[1] = sealed(b'{"long": "' + b"x" * 200_000 + b'"}', by="0a1b2c3d", after=None).rstrip(b"\n")
    for count in (1, 2, 3):
        whole = b"".join(line + b"\n" for line in lines[:count])
        path.write_bytes(whole + tail)
        seal = seal_of(lines[count - 1])
        assert seal is not None
        assert anchor_of(path) == LinesAnchor(bytes=len(whole), last=seal.sum)


def test_many_damaged_lines_are_counted_and_the_first_are_named(file: Path) -> None:
    lines = [line.replace(b"note", b"mote") for line in written(100)]
    report = examined(file, lines)
    assert report.counts == {"changed": 100}
    assert len(report.damage) == 21
    assert "80 more" in report.damage[-1].what


def test_a_large_ledger_is_examined_in_little_memory(file: Path) -> None:
    lines = written(30_000)
    file.write_bytes(b"\n".join(lines) + b"\n")
    probe = (
        "import resource, sys; from pathlib import Path; from cardrunner.runs.lines import examine_lines\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert examine_lines(Path(sys.argv[1])).sealed == 30_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", probe, str(file)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4_000  # kilobytes, of 5 MB
    assert time.monotonic() - began < 10
