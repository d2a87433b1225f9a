"""The new lines of a text file that a script appends to, rewrites, shortens, replaces or rotates."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cardrunner.workloads.command.reports.base import Garbage, Sizes
from cardrunner.workloads.command.reports.files import is_regular

AT_ONCE = 2 * 2**20
"""Bytes of one file that one look reads."""
ALL = 2**62
"""For `most`: what is there when an attempt begins is read to its end."""
LONGEST_LINE = 64 * 1024
"""Bytes of a line; a longer one is garbage."""
_CHUNK = 256 * 1024
_HEAD, _TAIL = 256, 64
"""Bytes at the beginning of a file and before the place of reading that tell whether it is still the same text."""


class Known:
    """A fingerprint of each line of a file by its number, so that a rewritten file gives only what is new in it."""

    MOST = 2_000_000
    """Lines remembered, 8 bytes each."""

    def __init__(self) -> None:
        self._prints = array("q")

    def is_new(self, number: int, fingerprint: int) -> bool:
        """Whether line `number` (from 0) is another than it was; from the first such line on, all are new."""
        prints = self._prints
        if number < len(prints):
            if prints[number] == fingerprint:
                return False
            del prints[number:]
        if number < self.MOST:
            if number > len(prints):
                prints.extend([0] * (number - len(prints)))  # lines that were passed over
            prints.append(fingerprint)
        return True


class Tail:
    """A text file and the place up to which it has been read.

    Args:
        path: the file, which may be missing.
        garbage: where lines that are too long and a file that cannot be opened are counted.
        longest: bytes of a line.
        cut: yield the beginning of a line that is too long, instead of counting it as garbage.
        separators: what ends a line: a progress bar ends its lines with a carriage return.
    """

    def __init__(
        self,
        path: Path,
        garbage: Garbage,
        *,
        longest: int = LONGEST_LINE,
        cut: bool = False,
        separators: bytes = b"\n",
    ) -> None:
        self.path, self._garbage = path, garbage
        self._longest, self._cut, self._separators = longest, cut, separators
        self._offset = self._number = 0
        self._discarding = False
        self._head = self._before = b""
        self._inode = 0
        self._state: tuple[int, int, int] | None = None

    def lines(self, *, ended: bool = False, most: int = AT_ONCE) -> Iterator[tuple[int, bytes]]:
        """Each new whole line with its number from 0, which starts again where the file does.

        Args:
            ended: a last line without its end counts.
            most: bytes to read.
        """
        try:
            with self._opened() as stream:
                if stream is None or not self._changed(stream, ended=ended):
                    return
                if not self._goes_on(stream):
                    yield from self._rest_of_rotated(most)
                    self._offset = self._number = 0
                    self._discarding = False
                yield from self._read(stream, ended=ended, most=most)
        except OSError as error:  # a disk or a network file system that fails
            self._garbage.add(f"cannot be read: {error.strerror}", str(self.path))

    def skip_to_end(self) -> None:
        """Go on after what is there now."""
        self.skip()

    def skip(self, sizes: Sizes | None = None) -> Sizes:
        """Go on after what is there now, or was there by `sizes`; the size that was skipped, by the path."""
        with self._opened() as stream:
            if stream is None:
                return {}
            end = stream.seek(0, os.SEEK_END)
            self._offset = end if sizes is None else sizes.get(str(self.path), 0)
            if self._offset > end:  # another file has its name now
                self._offset = 0
            self._mark(stream)
            return {str(self.path): self._offset}

    @property
    def behind(self) -> int:
        """Bytes that have not been read."""
        try:
            return max(0, self.path.stat().st_size - self._offset)
        except OSError:
            return 0

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | None]:
        stream = open_regular(self.path, self._garbage)
        try:
            yield stream
        finally:
            if stream is not None:
                stream.close()

    def _changed(self, stream: BinaryIO, *, ended: bool) -> bool:
        found = os.fstat(stream.fileno())
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        changed = state != self._state or (found.st_size > self._offset and ended)
        # a file may change twice within one tick of its time; what was read to the end may be trusted to stay
        self._state = state if found.st_size == self._offset else None
        return changed

    def _goes_on(self, stream: BinaryIO) -> bool:
        """Whether what was read is still there, whatever file it is in."""
        if os.fstat(stream.fileno()).st_size < self._offset:
            return False
        head = os.pread(stream.fileno(), len(self._head), 0)
        before = os.pread(stream.fileno(), len(self._before), self._offset - len(self._before))
        return head == self._head and before == self._before

    def _rest_of_rotated(self, most: int) -> Iterator[tuple[int, bytes]]:
        """The last lines of a file that now has another name beside this one, as rotated logs do."""
        for path in _siblings(self.path):
            try:
                same = path.stat().st_ino == self._inode
            except OSError:
                continue
            stream = open_regular(path, self._garbage) if same else None
            if stream is not None:
                with stream:
                    if self._goes_on(stream):
                        yield from self._read(stream, ended=True, most=most)
                return

    def _read(self, stream: BinaryIO, *, ended: bool, most: int) -> Iterator[tuple[int, bytes]]:
        stream.seek(self._offset)
        rest = b""
        try:
            while most > 0 and (chunk := stream.read(min(_CHUNK, most))):
                most -= len(chunk)
                *whole, rest = self._split(rest + chunk)
                for line in whole:
                    self._offset += len(line) + 1
                    if self._discarding or len(line) > self._longest:
                        yield from self._line(line)
                    else:  # nearly every line, without another generator
                        self._number += 1
                        yield self._number - 1, line
                if len(rest) > self._longest:
                    yield from self._long(rest)
                    rest = b""
            if ended and most > 0 and rest:
                self._offset += len(rest)
                yield from self._line(rest)
        finally:
            self._mark(stream)

    def _split(self, data: bytes) -> list[bytes]:
        for separator in self._separators[1:]:
            data = data.replace(bytes([separator]), self._separators[:1])
        return data.split(self._separators[:1])

    def _line(self, line: bytes) -> Iterator[tuple[int, bytes]]:
        """A whole line, or the end of one whose beginning was too long."""
        number, discarded = self._number, self._discarding
        self._number, self._discarding = number + 1, False
        if discarded:
            return
        if len(line) <= self._longest:
            yield number, line
        elif self._cut:
            yield number, line[: self._longest]
        else:
            self._garbage.add(f"a line of {len(line):,} bytes: {line[:60]!r}", str(self.path))

    def _long(self, part: bytes) -> Iterator[tuple[int, bytes]]:
        """A part of a line that goes on; only its first part is told."""
        self._offset += len(part)
        if self._discarding:
            return
        self._discarding = True
        if self._cut:
            yield self._number, part[: self._longest]
        else:
            self._garbage.add(f"a line of more than {self._longest:,} bytes: {part[:60]!r}", str(self.path))

    def _mark(self, stream: BinaryIO) -> None:
        """Remember what surrounds the place of reading."""
        number = stream.fileno()
        self._head = os.pread(number, min(_HEAD, self._offset), 0)
        length = min(_TAIL, self._offset)
        self._before = os.pread(number, length, self._offset - length)
        self._inode = os.fstat(number).st_ino


def open_regular(path: Path, garbage: Garbage) -> BinaryIO | None:
    """Open a file for reading; None for one that is missing, no regular file, or (which is garbage) not readable."""
    if not is_regular(path):
        return None
    try:
        # O_NONBLOCK: a pipe that has taken the file's place since would wait for a writer
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    except FileNotFoundError:
        return None
    except OSError as error:
        garbage.add(f"cannot be opened: {error.strerror}", str(path))
        return None


def _siblings(path: Path) -> list[Path]:
    """Files whose names begin with that of a file: ``log.jsonl.1``."""
    try:
        return [other for other in path.parent.iterdir() if other.name.startswith(path.name) and other != path][:100]
    except OSError:
        return []
