"""The checkpoints that a script writes, found by the card's globs."""

from __future__ import annotations

import glob
import itertools
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from cardrunner.runs.copies import files_of

Kind = Literal["file", "folder"]
Mark = tuple[tuple[str, int, int, int], ...]
"""Name, size, time and number of every file: whatever changes when one is written."""
_MOST: Final = 1_000
"""Checkpoints of one glob; more means that it matches something else."""


@dataclass(frozen=True, kw_only=True)
class CheckpointRules:
    """What the card says about checkpoints."""

    at: tuple[str, ...]
    """Globs, absolute."""
    root: Path
    """The folder that they must lie in."""
    complete: tuple[str, ...] = ()
    """Patterns of files that a whole folder has."""
    keep: int = 2
    """How many copies."""
    data: frozenset[Path] = field(default_factory=frozenset)
    """The files of the card's data, which are no checkpoints."""


@dataclass(frozen=True)
class Checkpoint:
    """A file or folder that the script has written."""

    path: Path
    kind: Kind
    mark: Mark
    numbered: bool
    """Its name has a number of its own, so that the next checkpoint has another name."""

    @property
    def modified(self) -> int:
        """When it was written last, in nanoseconds since 1970."""
        return max((entry[2] for entry in self.mark), default=0)

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(entry[1] for entry in self.mark)


@dataclass(frozen=True)
class Refused:
    """Something that a glob matches and that is taken for no checkpoint."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"checkpoints.at: {self.path} is not taken for a checkpoint: {self.why}"


def find(rules: CheckpointRules) -> tuple[list[Checkpoint], list[Refused]]:
    """What the globs match now, the newest first, and what of it is refused."""
    found: dict[Path, Checkpoint] = {}
    refused: dict[Path, Refused] = {}
    for pattern in rules.at:
        matches = list(itertools.islice(glob.iglob(pattern, recursive=True), _MOST + 1))  # noqa: PTH207 (a whole path)
        if len(matches) > _MOST:
            why = f"it matches more than {_MOST:,} files; write one that matches only checkpoints"
            refused[Path(pattern)] = Refused(Path(pattern), why)
            continue
        for path in map(Path, matches):
            with suppress(FileNotFoundError):  # the script removes old ones
                if (reason := _refusal(path, rules)) is not None:
                    refused[path] = Refused(path, reason)
                else:
                    found[path] = _checkpoint(path, pattern)
    return sorted(found.values(), key=lambda item: item.modified, reverse=True), list(refused.values())


def _checkpoint(path: Path, pattern: str) -> Checkpoint:
    last = Path(pattern).name
    numbered = glob.has_magic(last) and re.search(r"\d", path.name) is not None
    return Checkpoint(path, "folder" if path.is_dir() else "file", mark_of(path), numbered)


def mark_of(path: Path) -> Mark:
    """What tells whether a file, or any file of a folder, was written meanwhile.

    Raises:
        FileNotFoundError: it is gone.
    """
    files = [path] if not path.is_dir() else files_of(path)
    return tuple((os.path.relpath(file, path), *_state(file.lstat())) for file in files)


def _state(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ino


def _refusal(path: Path, rules: CheckpointRules) -> str | None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"it is a link to {path.readlink()}; name what it links to"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return "it is neither a file nor a folder"
    real, root = path.resolve(), rules.root.resolve()
    if not real.is_relative_to(root) or real == root:
        return f"it does not lie inside {rules.root}; checkpoints are written there"
    if (data := _data_in(path, rules.data)) is not None:
        return f"{data} is data of the card; write a glob that matches only checkpoints"
    link = next((file for file in files_of(path) if file.is_symlink()), None) if stat.S_ISDIR(mode) else None
    return None if link is None else f"{link.relative_to(path)} in it is a link; a checkpoint holds its own files"


def _data_in(path: Path, data: frozenset[Path]) -> Path | None:
    """A file of the card's data that this is, under another name too, or that lies in it."""
    for file in data:
        with suppress(OSError):
            if path.samefile(file) or file.resolve().is_relative_to(path.resolve()):
                return file
    return None
