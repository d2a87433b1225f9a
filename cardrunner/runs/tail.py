"""Reading what is appended to a file of JSON lines while others write it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cardrunner.runs.jsonl import parse_line


@dataclass
class Tail:
    """Reads what was appended since the last look; half a line waits for its end.

    Attributes:
        path: the file; may not exist yet.
        offset: the byte to begin at.
    """

    path: Path
    offset: int = 0
    _file: int | None = None
    """Which file had the name at the last look: a resume rewrites the history under the same name."""

    def new(self) -> Iterator[dict[str, Any]]:
        """Rows that were not seen yet; all of them again where the file was rewritten."""
        try:
            with self.path.open("rb") as stream:
                yield from self._read(stream)
        except FileNotFoundError:
            return

    def _read(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        found = os.fstat(stream.fileno())
        if found.st_size < self.offset or self._file not in (None, found.st_ino):
            self.offset = 0
        self._file = found.st_ino
        if found.st_size == self.offset:
            return
        stream.seek(self.offset)
        whole, _, _ = stream.read().rpartition(b"\n")
        self.offset += len(whole) + 1 if whole else 0
        yield from (row for line in whole.split(b"\n") if (row := parse_line(line)) is not None)
