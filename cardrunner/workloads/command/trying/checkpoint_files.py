"""Files and folders that look like checkpoints: by their names, whether they are whole, and how they are written."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardrunner.workloads.command.checkpoints import Mark, mark_of
from cardrunner.workloads.command.trying.found_files import MOST_ENTRIES
from cardrunner.workloads.command.whole import flaw

_SUFFIXES: Final = frozenset(
    {".pt", ".pth", ".ckpt", ".safetensors", ".pkl", ".pickle", ".joblib", ".npz", ".h5", ".keras", ".msgpack", ".ubj"}
)
_NAMED: Final = re.compile(r"ckpt|checkpoint|snapshot|model|weights|state", re.IGNORECASE)
_OTHERS: Final = frozenset({".json", ".bin", ".model", ".txt", ""})
"""Suffixes that need a name such as ckpt beside them."""
_NO_CHECKPOINT: Final = frozenset({"trainer_state.json", "events.out", "config.json", "metrics.json"})
_FOLDER: Final = re.compile(r"^(?:checkpoint|ckpt|step|epoch|global_step|iter)[_-]?\d+$", re.IGNORECASE)
_MOST: Final = 200
_DIGITS: Final = re.compile(r"(\d+|\*)")


@dataclass
class Series:
    """Checkpoints whose names differ in their numbers, or one file.

    Args:
        at: the path as a card has it, with ``*`` for the numbers that differ.
        folder: each is a folder.
        inside: it lies in ``{out}``.
    """

    at: str
    folder: bool
    inside: bool
    marks: dict[Path, Mark] = field(default_factory=dict)
    written: int = 0
    """How often one was seen in another state than before; that of a later start counts apart."""
    changes: int = 0
    """The same over all starts."""
    later: set[Path] = field(default_factory=set)
    """Those that only a later start wrote."""
    complete: tuple[str, ...] = ()
    remembered: str | None = None

    @property
    def count(self) -> int:
        """How many there were; those of a later start count apart."""
        return len(self.marks) - len(self.later) or len(self.marks)

    @property
    def overwritten(self) -> bool:
        """Whether one file is written again and again."""
        return self.count == 1 and self.written > 1

    @property
    def newest(self) -> Path:
        """The one that was written last."""
        return max(self.marks, key=self._modified)

    @property
    def modified(self) -> int:
        """When the newest one was written last, in nanoseconds since 1970."""
        return self._modified(self.newest)

    def _modified(self, path: Path) -> int:
        return max((entry[2] for entry in self.marks[path]), default=0)

    @property
    def size(self) -> int:
        """Of the newest one, in bytes."""
        return sum(entry[1] for entry in self.marks[self.newest])

    def flaw(self) -> str | None:
        """What is wrong with the newest one now, or before it was removed; None for a whole one."""
        return flaw(self.newest, self.complete) if self.newest.exists() else self.remembered


@dataclass
class CheckpointFiles:
    """Looks for what may be checkpoints.

    Args:
        roots: folder -> how a card calls it: ``{out}``, or empty for the folder that the script runs in.
        left_out: files that were there before.
    """

    roots: dict[Path, str]
    left_out: frozenset[Path] = frozenset()
    series: dict[str, Series] = field(default_factory=dict)
    """By the path with ``*`` for every number."""
    _later: bool = False

    def begin_again(self) -> None:
        """The script is started once more; what it writes again counts apart."""
        self._later = True

    def look(self) -> None:
        """Take note of new and changed ones."""
        seen = 0
        for root, called in self.roots.items():
            for folder, folders, names in os.walk(root):
                folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
                for name in [name for name in folders if _FOLDER.match(name)]:
                    folders.remove(name)
                    self._note(Path(folder) / name, root, called, folder=True)
                for name in names:
                    seen += 1
                    if seen > MOST_ENTRIES:
                        return
                    if _is_checkpoint(name):
                        self._note(Path(folder) / name, root, called, folder=False)

    def remember_flaws(self) -> None:
        """To be called before all of them are removed."""
        for series in self.series.values():
            series.remembered = series.flaw()

    def _note(self, path: Path, root: Path, called: str, *, folder: bool) -> None:
        if path in self.left_out or path.is_symlink():
            return
        at = _general("/".join(filter(None, (called, path.relative_to(root).as_posix()))))
        series = self.series.setdefault(_DIGITS.sub("*", at), Series(at, folder, bool(called)))
        series.at = _joined(series.at, at)
        if folder and not series.complete and (path / "trainer_state.json").exists():
            series.complete = ("trainer_state.json",)
        with suppress(OSError):
            mark = mark_of(path)
            if series.marks.get(path) != mark and (path in series.marks or len(series.marks) < _MOST):
                series.later |= {path} if self._later and path not in series.marks else set()
                series.marks[path] = mark
                series.changes += 1
                series.written += not self._later


def best_series(series: Sequence[Series]) -> Series | None:
    """The checkpoints to name: the largest of those in ``{out}``."""
    inside = [one for one in series if one.inside and one.marks]
    return max(inside, key=lambda one: (one.size, one.written), default=None)


def _is_checkpoint(name: str) -> bool:
    suffix = Path(name).suffix
    if name in _NO_CHECKPOINT or "tfevents" in name:
        return False
    return suffix in _SUFFIXES or (suffix in _OTHERS and _NAMED.search(name) is not None)


def _general(path: str) -> str:
    """Numbers that count as ``*``: those of step-100.pt, epoch=3-step=500.ckpt, version_0 and model_ep003.npz."""
    return re.sub(r"(?<=[=_-])\d+(?:\.\d+)?(?=$|[-_./])|(?<=step|poch|iter)\d+|(?<=[/._-]ep)\d+", "*", path)


def _joined(one: str, other: str) -> str:
    """Two paths that differ in digits alone, with ``*`` for what differs: gpt2a1.pt and gpt2a2.pt are gpt2a*.pt."""
    parts = zip(_DIGITS.split(one), _DIGITS.split(other), strict=True)
    return "".join(part if part == another else "*" for part, another in parts)
