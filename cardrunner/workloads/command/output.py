"""What a script prints: kept in a log of bounded size with secrets hidden, and handed on line by line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

from cardrunner.common.redaction import hide, visible
from cardrunner.common.text import plural
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.files import explained

Consume = Callable[[str], object]
_BLOCK: Final = 1 << 16
_CUT: Final = "[cardrunner: the rest of this line was left out]"
_TAIL_CHARACTERS: Final = 2_000
"""Of each line of the tail: it is shown to people."""


@dataclass(frozen=True, kw_only=True)
class OutputLimits:
    """What the output of a script may cost."""

    file_bytes: int = 64_000_000
    """Of one file; there are at most three: the first one, the one before, and the one being written."""
    line_bytes: int = 65_536
    """Of a line; the rest of a longer one is left out."""
    tail_lines: int = 200
    """Kept in memory."""


class ScriptLog:
    """The files of a log: the beginning and the end of what was written, each up to a size.

    ``script.log`` is written. When it is full it becomes ``script.first.log``, and each later one in turn
    ``script.previous.log``.

    Args:
        path: of the file being written; a file of that name is continued.
        file_bytes: the size at which a file is full.
    """

    def __init__(self, path: Path, file_bytes: int) -> None:
        self.path, self._limit = path, file_bytes
        self.first = path.with_name(f"{path.stem}.first{path.suffix}")
        self.previous = path.with_name(f"{path.stem}.previous{path.suffix}")
        self.left_out = 0
        """Bytes that are in no file any more."""
        with explained(path, "write"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._opened()

    def write(self, text: str) -> None:
        """Append text.

        Raises:
            EnvironmentFailed: the disk is full or failing.
        """
        data = text.encode()
        with explained(self.path, "write"):
            if self._size and self._size + len(data) > self._limit:
                self._rotate()
            self._size += len(data)
            self._stream.write(data)

    def close(self) -> None:
        """Write no more."""
        self._stream.close()

    def _opened(self) -> BinaryIO:
        stream = self.path.open("ab", buffering=0)
        self._size = stream.tell()
        return stream

    def _rotate(self) -> None:
        self._stream.close()
        target = self.previous if self.first.exists() else self.first
        self.left_out += target.stat().st_size if target.exists() else 0
        self.path.replace(target)
        self._stream = self._opened()
        lost = f"; {plural(self.left_out, 'byte')} between them were left out" if self.left_out else ""
        note = f"[cardrunner: what was printed before is in {self._earlier()}{lost}]\n"
        self._size = self._stream.write(note.encode())

    def _earlier(self) -> str:
        return f"{self.first.name} and {self.previous.name}" if self.previous.exists() else self.first.name


class ScriptOutput:
    """Takes what a script prints, block by block.

    A carriage return ends a line too, as progress bars use it. Bytes that are no UTF-8 are shown by their numbers, and
    terminal codes are left out. What goes wrong with the log or the consumer stops neither the script nor the other.

    Args:
        path: of the log.
        consume: called with each complete line, without its end.
        limits: what all of it may cost.
    """

    def __init__(self, path: Path, consume: Consume, limits: OutputLimits | None = None) -> None:
        self._limits = limits or OutputLimits()
        self._log, self._consume = ScriptLog(path, self._limits.file_bytes), consume
        self._waiting = bytearray()
        self._skipping = False
        self._tail: deque[str] = deque(maxlen=self._limits.tail_lines)
        self.bytes, self.lines, self.last_at = 0, 0, time.monotonic()
        """How much came, and when the last of it did (`time.monotonic`)."""
        self.log_problem: str | None = None
        """Why lines are missing in the log; one sentence."""
        self.consumer_error: Exception | None = None
        """What the consumer raised; it is given no line after that."""

    def pump(self, stream: IO[bytes]) -> None:
        """Take all of a stream until its end, then close both; to be run in a thread of its own."""
        with stream:
            while block := stream.read(_BLOCK):
                self.feed(block)
        self.close()

    def tail(self, lines: int = 40) -> tuple[str, ...]:
        """The last lines."""
        return tuple(self._tail)[-lines:]

    def feed(self, block: bytes) -> None:
        """Take the next bytes."""
        self.bytes, self.last_at = self.bytes + len(block), time.monotonic()
        self._waiting += block
        held = b"\r" if self._waiting.endswith(b"\r") else b""  # its line feed may be the next byte
        ready = bytes(self._waiting).removesuffix(held)
        whole, newline, rest = ready.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rpartition(b"\n")
        self._waiting[:] = rest + held
        if newline:
            self._take(whole)
        self._cut_waiting()

    def close(self) -> None:
        """Take the last line, which may have no end, and close the log."""
        if self._waiting and not self._skipping:
            self._take(bytes(self._waiting).removesuffix(b"\r"))
        self._waiting.clear()
        self._log.close()

    def _take(self, whole: bytes) -> None:
        """Take complete lines; the first may be the end of one whose beginning was shown."""
        if self._skipping:
            self._skipping = False
            _, newline, whole = whole.partition(b"\n")
            if not newline:
                return
        self._show(whole)

    def _cut_waiting(self) -> None:
        """Bound a line that has no end yet: show its beginning, and skip what follows.

        It waits until twice the length has come, so that a secret across the cut is found.
        """
        if self._skipping:
            self._waiting.clear()
        elif len(self._waiting) > 2 * self._limits.line_bytes:
            waiting = bytes(self._waiting)
            self._waiting.clear()
            self._skipping = True
            self._show(waiting)

    def _show(self, whole: bytes) -> None:
        # secrets are looked for in the whole block, since some have more than one line
        text = visible(hide(whole.decode(errors="backslashreplace")))
        longest = self._limits.line_bytes
        lines = [line if len(line) <= longest else f"{line[:longest]} {_CUT}" for line in text.split("\n")]
        self.lines += len(lines)
        self._tail.extend(line[:_TAIL_CHARACTERS] for line in lines[-self._limits.tail_lines :])
        try:
            self._log.write("\n".join(lines) + "\n")
        except EnvironmentFailed as error:
            self.log_problem = self.log_problem or f"{error}; lines of the script are missing in its log"
        self._hand_on(lines)

    def _hand_on(self, lines: list[str]) -> None:
        if self.consumer_error is not None:
            return
        try:
            for line in lines:
                self._consume(line)
        except Exception as error:  # the pipe must be emptied whatever happens, or the script would wait
            self.consumer_error = error
