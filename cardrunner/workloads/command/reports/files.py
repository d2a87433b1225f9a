"""Files of a pattern in folders that a script is writing to, within bounds."""

from __future__ import annotations

import fnmatch
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cardrunner.workloads.command.reports.base import MOST_FILES, Garbage

MOST_ENTRIES = 20_000
"""Entries of folders that one search looks at."""
_SEARCH_SECONDS = 1.0
"""Between two searches for new files."""
_SEARCH_SHARE, _SEARCH_MOST = 200, 20.0
"""Times as long as a search took until the next one, and the seconds that this may be at most."""


class Files:
    """The regular files of a pattern, oldest found first.

    Args:
        pattern: absolute, with ``*``, ``?``, ``[...]`` in a name and ``**`` for any depth of folders. Folders behind
            links are entered where the pattern names them, and not for ``**``.
        suffixes: patterns of names to look for where `pattern` is a folder, or ends in ``**``.
        last: the name of files that repeat what the others say, and so come after them.
        garbage: where too many files are counted.
    """

    def __init__(self, pattern: str, garbage: Garbage, *, suffixes: tuple[str, ...] = (), last: str = "") -> None:
        self.pattern, self._suffixes, self._garbage, self._last = pattern, suffixes, garbage, last
        self._found: dict[Path, None] = {}
        self._next_search = 0.0

    def paths(self, *, now: bool = False, clock: Callable[[], float] = time.monotonic) -> list[Path]:
        """Every file found so far; searches at most once in a second, and less often where it takes long.

        Args:
            now: search in any case.
            clock: seconds that only go forward.
        """
        if now or clock() >= self._next_search:
            began = clock()
            self._search()
            ended = clock()
            self._next_search = ended + min(_SEARCH_MOST, max(_SEARCH_SECONDS, _SEARCH_SHARE * (ended - began)))
        return sorted(self._found, key=lambda path: path.name == self._last)

    def _search(self) -> None:
        budget = _Budget(MOST_ENTRIES)
        for path in sorted(self._matching(budget), key=_age):
            if len(self._found) >= MOST_FILES and path not in self._found:
                self._garbage.add(f"more than {MOST_FILES:,} files match; the newest are left out", self.pattern)
                return
            self._found.setdefault(path)
        if budget.spent:
            self._garbage.add(f"a search ends after {MOST_ENTRIES:,} entries; write a narrower pattern", self.pattern)

    def _matching(self, budget: _Budget) -> Iterator[Path]:
        for pattern in self._patterns():
            parts = Path(pattern).parts
            yield from (path for path in _walk(Path(parts[0]), parts[1:], budget) if is_regular(path))

    def _patterns(self) -> Iterator[str]:
        if not self._suffixes:
            yield self.pattern
            return
        base = self.pattern.rstrip("/")
        for suffix in self._suffixes:
            yield f"{base}/{suffix}"
            if not base.endswith("**"):
                yield base if fnmatch.fnmatch(Path(base).name, Path(suffix).name) else f"{base}/**/{suffix}"


class _Budget:
    def __init__(self, entries: int) -> None:
        self._left = entries

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if self.spent:
                        return
                    self._left -= 1
                    yield entry
        except OSError:  # missing, not a folder, or taken away meanwhile
            return


def _walk(folder: Path, parts: tuple[str, ...], budget: _Budget) -> Iterator[Path]:
    """Paths below a folder that the rest of a pattern describes."""
    part, *rest = parts or ("",)
    if part == "**":
        yield from _walk(folder, tuple(rest) or ("*",), budget)
        for entry in list(budget.entries(folder)):
            if _is_own_folder(entry):
                yield from _walk(Path(entry.path), parts, budget)
    elif not any(sign in part for sign in "*?["):
        yield from _walk(folder / part, tuple(rest), budget) if rest else [folder / part]
    else:
        for entry in list(budget.entries(folder)):
            if fnmatch.fnmatchcase(entry.name, part) and not (entry.name.startswith(".") and not part.startswith(".")):
                path = Path(entry.path)
                yield from _walk(path, tuple(rest), budget) if rest else [path]


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
    except OSError:
        return False


def is_regular(path: Path) -> bool:
    """Whether a path is a file that can be opened without waiting: no pipe, no device."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _age(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, str(path)
    except OSError:
        return float("inf"), str(path)
