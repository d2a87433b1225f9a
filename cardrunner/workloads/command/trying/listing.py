"""Which files outside of its folder changed while a trial ran, as far as a listing within bounds can tell."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOST_FILES: Final = 100_000
_MOST_SECONDS: Final = 4.0
_CACHES: Final = (
    "~/.cache/huggingface",
    "~/.cache/torch",
    "~/.cache/wandb",
    "~/.config/wandb",
    "~/.keras",
    "~/scikit_learn_data",
    "~/nltk_data",
)
"""Where libraries keep what they download."""
_SKIPPED: Final = frozenset({"__pycache__", "node_modules"})

State = tuple[int, int, int]
"""Time of the last change in nanoseconds, size in bytes, number of the file."""


@dataclass(frozen=True)
class Listing:
    """The files of some folders at one moment."""

    files: dict[Path, State]
    folders: tuple[Path, ...]
    whole: bool
    """Whether the bounds allowed to see everything."""

    def changed(self, later: Listing) -> list[tuple[str, Path]]:
        """What another listing of the same folders shows: new, changed or removed, and the file."""
        found = [
            ("new" if path not in self.files else "changed", path)
            for path, state in later.files.items()
            if self.files.get(path) != state and (self.whole or path in self.files)
        ]
        gone = [("removed", path) for path in self.files if later.whole and path not in later.files]
        return sorted(found + gone, key=lambda entry: entry[1])


def watched_folders(workspace: Path, code: Path, current: Path) -> list[Path]:
    """The folders to compare, each once: workspace, code, the current folder, and the caches of usual libraries."""
    wanted = [workspace, code, current, *(Path(cache).expanduser() for cache in _CACHES)]
    there = [folder.resolve() for folder in wanted if folder.is_dir()]
    home = Path.home()
    narrow = [folder for folder in dict.fromkeys(there) if folder != home and folder != Path("/")]
    return [
        folder for folder in narrow if not any(folder != other and folder.is_relative_to(other) for other in narrow)
    ]


def list_files(folders: Iterable[Path], *, beside: Iterable[Path] = (), files: Iterable[Path] = ()) -> Listing:
    """List the files of folders.

    Args:
        folders: with everything below them, but for caches of Python and the objects of git.
        beside: folders below them that are left out.
        files: single files as well.
    """
    folders, left_out = tuple(folders), frozenset(beside)
    until, found = time.monotonic() + _MOST_SECONDS, dict[Path, State]()
    for path in files:
        _add(path, found)
    for folder in folders:
        for path in _below(folder, left_out):
            if len(found) >= _MOST_FILES or time.monotonic() > until:
                return Listing(found, folders, whole=False)
            _add(path, found)
    return Listing(found, folders, whole=True)


def _below(folder: Path, left_out: frozenset[Path]) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED and Path(root) / name not in left_out]
        if root.endswith("/.git"):
            folders[:] = [name for name in folders if name != "objects"]
        yield from (Path(root) / name for name in names)


def _add(path: Path, found: dict[Path, State]) -> None:
    try:
        state = path.lstat()
    except OSError:
        return
    found[path] = state.st_mtime_ns, state.st_size, state.st_ino
