"""JSON lines: appended whole with a checksum (see `cardrunner.runs.lines`), read tolerantly.

Lines are strict JSON: NaN and infinities travel as the texts ``NaN``, ``Infinity`` and ``-Infinity`` and come back as
numbers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from cardrunner.common.redaction import hide_in
from cardrunner.runs.files import explained, open_regular, read_regular
from cardrunner.runs.kept_folder import check_in_place
from cardrunner.runs.lines import KEYS, object_of, write_sealed

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def append_line(path: Path, row: Mapping[str, Any], *, durable: bool) -> None:
    """Append one row as a line with its checksum, in a single write, so that writers in several processes never mix.

    A line that an earlier crash left half written is ended first, so that only that line is lost.

    Args:
        path: the file; made when absent.
        row: JSON values; floats may be non-finite.
        durable: wait until the line is on the disk.

    Raises:
        EnvironmentFailed: the disk is full, read-only or failing, or the run folder is not there any more.
    """
    line = line_of(row)
    with _appending(path, durable=durable) as descriptor:
        write_sealed(descriptor, line, partial(_write_line, descriptor))


def append_bytes(path: Path, line: bytes, *, durable: bool) -> None:
    """Append one line of another copy of the file, unchanged; see `append_line`.

    Args:
        path: the file; made when absent.
        line: the whole line, with its end.
        durable: wait until the line is on the disk.

    Raises:
        EnvironmentFailed: as in `append_line`.
    """
    with _appending(path, durable=durable) as descriptor:
        _write_line(descriptor, line)


@contextmanager
def _appending(path: Path, *, durable: bool) -> Iterator[int]:
    check_in_place(path)
    with explained(path, "write"):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            made = os.fstat(descriptor).st_size == 0
            yield descriptor
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    check_in_place(path, made=made)


def _write_line(descriptor: int, line: bytes) -> None:
    _write_whole(descriptor, (b"" if _ends_clean(descriptor) else b"\n") + line)


def line_of(row: Mapping[str, Any]) -> bytes:
    """One row as a line, with the environment's secrets hidden in free text."""
    return (
        json.dumps(_to_json(hide_in(row)), ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode()
        + b"\n"
    )


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every complete line of the file, oldest first; empty if the file does not exist. Torn lines are skipped.

    Raises:
        EnvironmentFailed: it cannot be read.
    """
    return [row for line in lines_of(path) if (row := parse_line(line)) is not None]


def lines_of(path: Path) -> list[bytes]:
    """The lines of the file as they stand, torn ones too, oldest first; none when it does not exist.

    Raises:
        EnvironmentFailed: it cannot be read.
    """
    if not path.exists():
        return []
    with explained(path, "read"):
        return [line for line in read_regular(path).split(b"\n") if line]


def parse_line(line: bytes) -> dict[str, Any] | None:
    """One row; None if the line is torn."""
    row = parse_object(line)
    return None if row is None else {key: _from_json(value) for key, value in row.items()}


def parse_object(line: bytes) -> dict[str, Any] | None:
    """One row as its JSON says it, non-finite numbers still as text, without its checksum; None if the line is torn."""
    row = object_of(line)
    if row is None or "sum" not in row:
        return row
    return {key: value for key, value in row.items() if key not in KEYS}


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _ends_clean(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _to_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    return [_to_json(item) for item in value] if isinstance(value, list | tuple) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, str):
        return _NON_FINITE.get(value, value)
    if isinstance(value, dict):
        return {key: _from_json(item) for key, item in value.items()}
    return [_from_json(item) for item in value] if isinstance(value, list) else value


@dataclass
class Tail:
    """Reads lines appended since the last read; an incomplete line waits for its end.

    Attributes:
        path: the file; may not exist yet.
        offset: the byte to begin at.
    """

    path: Path
    offset: int = 0
    _file: int | None = None
    """The file that had the name at the last read: a resume rewrites the history under the same name."""

    def new(self) -> Iterator[dict[str, Any]]:
        """New rows since the last read; all rows again if the file was rewritten."""
        return (row for line in self.lines() if (row := parse_line(line)) is not None)

    def lines(self) -> Iterator[bytes]:
        """New lines since the last read as they stand in the file, torn ones too."""
        try:
            stream = open_regular(self.path)
        except FileNotFoundError:
            return
        with stream:
            yield from self._read(stream)

    def _read(self, stream: BinaryIO) -> Iterator[bytes]:
        found = os.fstat(stream.fileno())
        if found.st_size < self.offset or self._file not in (None, found.st_ino):
            self.offset = 0
        self._file = found.st_ino
        if found.st_size == self.offset:
            return
        stream.seek(self.offset)
        whole, _, _ = stream.read().rpartition(b"\n")
        self.offset += len(whole) + 1 if whole else 0
        yield from (line for line in whole.split(b"\n") if line)
