"""New lines of a file that a script is writing to, whatever it does to the file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.base import Garbage
from cardrunner.workloads.command.reports.tail import ALL, Known, Tail

LINES = st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=30)


def texts(tail: Tail, *, ended: bool = False) -> list[bytes]:
    return [line for _, line in tail.lines(ended=ended)]


def test_a_file_that_appears_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log", Garbage())
    assert texts(tail) == []
    tail.path.write_bytes(b"a\nb\n")
    assert texts(tail) == [b"a", b"b"]
    assert texts(tail) == []


@settings(deadline=None, max_examples=50)
@given(lines=LINES, cuts=st.lists(st.integers(0, 600), max_size=6))
def test_lines_come_once_and_whole_wherever_writes_end(lines: list[bytes], cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, found = b"".join(line + b"\n" for line in lines), list[bytes]()
        tail = Tail(Path(folder, "log"), Garbage())
        with tail.path.open("wb", buffering=0) as stream:
            for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
                stream.write(data[start:end])
                found += texts(tail)
        assert found == lines


@settings(deadline=None, max_examples=50)
@given(old=LINES, new=LINES)
def test_a_rewritten_file_gives_each_of_its_lines_that_is_new(old: list[bytes], new: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tail, known = Tail(Path(folder, "log"), Garbage()), Known()

        def look(*, ended: bool = False) -> list[bytes]:
            return [line for number, line in tail.lines(ended=ended) if known.is_new(number, hash(line))]

        tail.path.write_bytes(b"".join(line + b"\n" for line in old))
        assert look() == old
        tail.path.write_bytes(b"".join(line + b"\n" for line in [*old, *new]))
        assert look() == new
        replaced = Path(folder, "other")
        replaced.write_bytes(b"".join(line + b"\n" for line in [*old, *new, b"last"]))
        replaced.replace(tail.path)
        assert look() == [b"last"]


def test_a_shortened_file_is_read_again(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log", Garbage())
    tail.path.write_bytes(b"one\ntwo\nthree\n")
    texts(tail)
    os.truncate(tail.path, 0)
    assert texts(tail) == []
    with tail.path.open("ab") as stream:
        stream.write(b"four\n")
    assert texts(tail) == [b"four"]


def test_the_last_lines_of_a_rotated_file_are_not_lost(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log", Garbage())
    tail.path.write_bytes(b"one\n")
    texts(tail)
    with tail.path.open("ab") as stream:
        stream.write(b"two\nthree\n")
    tail.path.rename(tmp_path / "log.1")
    tail.path.write_bytes(b"another\nfile\n")
    assert texts(tail) == [b"two", b"three", b"another", b"file"]


def test_a_line_without_its_end_counts_when_the_script_has_ended(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log", Garbage())
    tail.path.write_bytes(b"one\ntw")
    assert texts(tail) == [b"one"]
    assert texts(tail) == []
    assert texts(tail, ended=True) == [b"tw"]
    assert texts(tail, ended=True) == []


def test_a_long_line_is_counted_once_and_passed_over(tmp_path: Path) -> None:
    garbage = Garbage()
    tail = Tail(tmp_path / "log", garbage, longest=100)
    with tail.path.open("ab") as stream:
        for _ in range(3):
            stream.write(b"x" * 300_000)
            stream.flush()
            assert texts(tail) == []
        stream.write(b"\nshort\n")
    assert texts(tail) == [b"short"]
    assert garbage.count == 1
    assert "a line of more than 100 bytes" in garbage.first


def test_a_long_line_of_output_is_cut(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log", Garbage(), longest=10, cut=True, separators=b"\n\r")
    tail.path.write_bytes(b"0123456789abc\r12 %\r13 %\n" + b"y" * 400_000 + b"\nend\n")
    assert texts(tail) == [b"0123456789", b"12 %", b"13 %", b"y" * 10, b"end"]


def test_a_pipe_and_a_folder_in_its_place_are_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert texts(Tail(tmp_path / "pipe", Garbage())) == []
    assert texts(Tail(tmp_path, Garbage())) == []


def test_one_look_is_bounded_and_the_next_goes_on(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log", Garbage())
    lines = [b"%07d" % number for number in range(200_000)]
    tail.path.write_bytes(b"\n".join(lines) + b"\n")
    first = [line for _, line in tail.lines(most=2**19)]
    assert 0 < len(first) < len(lines)
    assert first + [line for _, line in tail.lines(most=ALL)] == lines
