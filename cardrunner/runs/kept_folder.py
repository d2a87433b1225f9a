"""A run folder that is removed, moved or replaced while a process works in it: nothing is written there any more."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cardrunner.errors import EnvironmentFailed


@dataclass(frozen=True)
class Kept:
    """A folder that this process works in, as it was found.

    Args:
        folder: the folder.
        inode: its device and number, which another folder of the same name does not have.
        marks: files in it that stay for as long as the folder is whole.
    """

    folder: Path
    inode: tuple[int, int]
    marks: tuple[Path, ...]

    @property
    def in_place(self) -> bool:
        """Whether it is still there, whole; a disk that does not answer says nothing else."""
        with suppress(OSError):
            return _inode(self.folder) == self.inode and None not in map(_inode, self.marks)
        return True

    def clear(self) -> None:
        """Leave nothing of a folder that somebody removed while this process made files in it: no empty folders."""
        with suppress(OSError):
            found = (*self.folder.iterdir(), self.folder) if _inode(self.folder) == self.inode else ()
            for inside in found:
                with suppress(OSError):  # a file, or a folder with something in it
                    inside.rmdir()


_KEPT: list[Kept] = []


def keep_in_place(folder: Path, marks: Iterable[Path]) -> Kept:
    """Write below a folder only as long as it stays where it is; until `let_go` is given what this returns.

    Raises:
        EnvironmentFailed: there is no such folder.
    """
    if (inode := _inode(folder)) is None:
        raise removed(folder)
    kept = Kept(folder, inode, tuple(marks))
    _KEPT.append(kept)
    return kept


def let_go(kept: Kept) -> None:
    """Keep a folder no longer."""
    _KEPT.remove(kept)


def check_in_place(path: Path, *, made: bool = False) -> None:
    """Look whether the kept folder that a path lies in is still there.

    Args:
        path: a file that is to be written.
        made: it was made just now; then it goes with a folder that was removed meanwhile.

    Raises:
        EnvironmentFailed: the folder was removed, moved or replaced.
    """
    for kept in _KEPT:
        if kept.folder in path.parents and not kept.in_place:
            if made and _inode(kept.folder) == kept.inode:
                path.unlink(missing_ok=True)
            kept.clear()
            raise removed(kept.folder)


def removed(folder: Path) -> EnvironmentFailed:
    """What ends a run whose folder is not where it was."""
    return EnvironmentFailed(
        f"{folder} was removed or moved while the run was at work, so that it ends; put the folder back and resume it"
    )


def _inode(path: Path) -> tuple[int, int] | None:
    """Device and number; None where there is nothing."""
    with suppress(FileNotFoundError, NotADirectoryError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
