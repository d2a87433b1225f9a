"""Data that a card names by a pattern: which files there are, one digest over all of them, and what differs.

The digest is over ``path NUL size NUL sha256`` and a line feed for each file, sorted by path. It pins which files there
are, and the bytes of each. A list that has a pinned digest is kept in the workspace's records under that digest, so
that a difference can be named by file: a list that was edited has another digest, and counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cardrunner.common.text import listed
from cardrunner.runs.files import explained, sha256_file, sha256_of, write_text
from cardrunner.workspace import Workspace

_NAMED: Final = 5
_MOST_BYTES: Final = 100_000_000
"""Of a list that is read."""


@dataclass(frozen=True)
class ListedFile:
    """One file."""

    path: str
    """As from the workspace."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class DataList:
    """The files of a pattern, sorted by path."""

    pattern: str
    files: tuple[ListedFile, ...]

    @property
    def bytes(self) -> int:
        """All of them together."""
        return sum(file.bytes for file in self.files)

    @property
    def sha256(self) -> str:
        """The digest over paths, sizes and sha256 of all of them."""
        return sha256_of(
            f"{file.path}\0{file.bytes}\0{file.sha256}\n".encode(errors="surrogateescape") for file in self.files
        )

    def differences(self, pinned: DataList) -> str:
        """What differs from the list that a card pins, by file; empty without a difference."""
        here = {file.path: file for file in self.files}
        there = {file.path: file for file in pinned.files}
        kinds = {
            "changed": [path for path in there if path in here and here[path] != there[path]],
            "missing": [path for path in there if path not in here],
            "additional": [path for path in here if path not in there],
        }
        return "; ".join(f"{kind}: {_named(paths)}" for kind, paths in kinds.items() if paths)


def list_data(workspace: Workspace, pattern: str, advance: Callable[[int], object] = lambda _: None) -> DataList:
    """The files of a pattern with their digests.

    Args:
        workspace: where they are looked for.
        pattern: as the card has it.
        advance: called with the bytes of each block that is read.

    Raises:
        EnvironmentFailed: there is no such file, or one cannot be read.
    """
    found = workspace.find_pattern(pattern)
    return DataList(pattern, tuple(_file(name, path, advance) for name, path in sorted(found.items())))


def _file(name: str, path: Path, advance: Callable[[int], object]) -> ListedFile:
    with explained(path, "read"):
        size = path.stat().st_size
    return ListedFile(name, size, sha256_file(path, advance))


def keep_list(records: Path, data: DataList) -> Path:
    """Keep a list under its digest; its path.

    Raises:
        EnvironmentFailed: it cannot be written.
    """
    place = _place(records, data.sha256)
    with explained(place, "write"):
        place.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps([file.path, file.bytes, file.sha256]) for file in data.files)
    write_text(place, "\n".join((json.dumps(data.pattern), *lines)) + "\n")
    return place


def known_list(records: Sequence[Path], sha256: str) -> DataList | None:
    """The list that has a digest, from the folders of records; None if none of them has it."""
    return next((found for place in records if (found := _read(_place(place, sha256), sha256)) is not None), None)


def _place(records: Path, sha256: str) -> Path:
    return records / "data" / f"{sha256}.jsonl"


def _read(path: Path, sha256: str) -> DataList | None:
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        pattern, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        found = DataList(str(pattern), tuple(ListedFile(str(name), int(size), str(it)) for name, size, it in lines))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.sha256 == sha256 else None


def _named(paths: list[str]) -> str:
    more = [f"{len(paths) - _NAMED} more"] if len(paths) > _NAMED else []
    return listed([*paths[:_NAMED], *more])
