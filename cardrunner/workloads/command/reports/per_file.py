"""A source that is a pattern of files, each with a reader of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from cardrunner.workloads.command.reports.base import Garbage, Reading, Sizes
from cardrunner.workloads.command.reports.files import Files


class FileReader(Protocol):
    """Reads one file; see `cardrunner.workloads.command.reports.base.Source`."""

    def begin(self, size: int) -> None: ...  # what its first `size` bytes hold is old, a torn last line too

    def new(self, *, ended: bool = False) -> Iterator[Reading]: ...


class PerFile:
    """See `cardrunner.workloads.command.reports.base.Source`.

    Args:
        name: of the source.
        files: what to read.
        open_file: a reader for one of them.
        garbage: the count that the readers share.
    """

    def __init__(self, name: str, files: Files, open_file: Callable[[Path], FileReader], garbage: Garbage) -> None:
        self.name, self.garbage = name, garbage
        self._files, self._open_file = files, open_file
        self._readers: dict[Path, FileReader] = {}

    def begin(self, sizes: Sizes | None = None) -> Sizes:
        """Each file that is there now gives only what comes later."""
        self._all(now=True)
        found = {path: _size(path) if sizes is None else sizes.get(str(path), 0) for path in self._readers}
        for path, size in found.items():
            if size:
                self._readers[path].begin(size)
        return {str(path): size for path, size in found.items()}

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        """The new readings, file by file."""
        for reader in self._all(now=ended):
            yield from reader.new(ended=ended)

    def _all(self, *, now: bool) -> list[FileReader]:
        for path in self._files.paths(now=now):
            if path not in self._readers:
                self._readers[path] = self._open_file(path)
        return list(self._readers.values())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
