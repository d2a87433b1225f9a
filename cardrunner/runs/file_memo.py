"""A memo beside a large file of what reading all of it has shown, so that it is read only once.

``<file>.cardrunner.json`` holds the file's sha256 and the results of checks, with marks that identify the file: its
place, size, modification time and, on file systems where they are stable, inode number and change time. A file whose
marks differ is read again.

A memo is as trustworthy as its folder. It is ignored if its own checksum does not match (an editing slip, a flipped
bit), if its marks differ from the file's, or if its owner is neither this user, nor root, nor the owner of the file.
Anyone who may write the file could forge a memo, or replace the file after it was read; so a memo saves work and
proves nothing. A sha256 pinned in a card is therefore computed from the bytes in every attempt, whatever is remembered.
To have the values checked again too, remove the memo.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.runs.files import explained, sha256_file, write_text
from cardrunner.runs.records import Record

SUFFIX = ".cardrunner.json"
# elsewhere (network volumes, sandboxes) inode numbers and change times may differ at every mount
_LASTING = frozenset(("apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "tmpfs", "xfs", "zfs"))
_MOUNTS = Path("/proc/self/mountinfo")
_PROBES, _PROBE_BYTES = 64, 4096


class Marks(Record):
    """The marks that identify a file."""

    path: str
    size: int
    modified_ns: int
    changed_ns: int | None
    inode: int | None
    probe: str
    """sha256 over its beginning, its end and places spread between."""


class Memo(Record):
    """The remembered results for one file."""

    format: Literal[1] = 1
    marks: Marks
    sha256: str
    checks: dict[str, Any] = Field(default_factory=dict)
    """Results as JSON, by the check's name and version."""


class _Sealed(Record):
    memo: Memo
    checksum: str


@dataclass(frozen=True)
class MemoPlace:
    """Where the memos of a file are kept.

    Args:
        path: the file.
        fallback: a folder for the memo if the file's own cannot be written or is marked read-only.
    """

    path: Path
    fallback: Path

    @property
    def candidates(self) -> tuple[Path, Path]:
        """Beside the file, or in the fallback under a name of its own."""
        name = hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:16]
        beside = self.path.with_name(self.path.name + SUFFIX)
        return beside, self.fallback / f"{self.path.name}.{name}{SUFFIX}"

    def recall(self) -> Memo | None:
        """The memo of the file as it is now; None without a valid one.

        Raises:
            EnvironmentFailed: the file cannot be read.
        """
        marks: Marks | None = None
        for candidate in self.candidates:
            if (memo := _read(candidate, self.path)) is not None:
                marks = marks or marks_of(self.path)
                if memo.marks == marks:
                    return memo
        return None

    def remember(self, memo: Memo) -> str | None:
        """Keep a memo durably; returns why it could not be kept, or None."""
        text = _Sealed(memo=memo, checksum=_checksum(memo)).model_dump_json(indent=1) + "\n"
        problem = None
        beside, fallback = self.candidates
        for candidate in (beside, fallback) if _is_for_writing(beside.parent) else (fallback,):
            try:
                write_text(candidate, text)
            except EnvironmentFailed as error:
                problem = str(error)
            else:
                return None
        return f"the check of {self.path} was not recorded, so the next run repeats it: {problem}"

    def compute(self, progress: Callable[[int], object] | None = None, *, note: Callable[[str], object]) -> str:
        """The file's sha256 from its bytes; a memo that says otherwise is replaced.

        Args:
            progress: called with the bytes of each block that is read.
            note: called with the reason if it could not be remembered.

        Raises:
            EnvironmentFailed: the file cannot be read.
            IntegrityError: the file changed meanwhile, or a memo that cannot be replaced says otherwise.
        """
        with unchanged(self.path) as marks:
            digest = sha256_file(self.path, progress)
        if self._agrees(digest):
            return digest
        problem = self.remember(Memo(marks=marks, sha256=digest))
        if problem is not None:
            note(problem)
        if self._agrees(digest) is False:
            raise IntegrityError(f"{self.path}: a memo names another sha256 than its bytes have, {digest}; remove it")
        return digest

    def _agrees(self, digest: str) -> bool | None:
        """Whether the memo has this digest; None without a memo."""
        memo = self.recall()
        return None if memo is None else memo.sha256 == digest


class unchanged:  # noqa: N801 - reads as a condition
    """Wraps the reading of a whole file: gives its marks, and raises if the file changed meanwhile.

    Raises:
        EnvironmentFailed: the file cannot be read.
        IntegrityError: on leaving, if the file has changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Marks:
        self._marks = marks_of(self._path)
        return self._marks

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and marks_of(self._path) != self._marks:
            raise IntegrityError(f"{self._path}: changed while it was read; wait until it is no longer being written")


def marks_of(path: Path) -> Marks:
    """The marks of a file as it is now; reads some 260 KB of it.

    Raises:
        EnvironmentFailed: it cannot be read.
    """
    with explained(path, "read"), path.open("rb") as stream:
        found = os.fstat(stream.fileno())
        lasting = _file_system(path) in _LASTING
        return Marks(
            path=str(path.resolve()),
            size=found.st_size,
            modified_ns=found.st_mtime_ns,
            changed_ns=found.st_ctime_ns if lasting else None,
            inode=found.st_ino if lasting else None,
            probe=_probe(stream.fileno(), found.st_size),
        )


def _probe(descriptor: int, size: int) -> str:
    digest = hashlib.sha256()
    last = max(0, size - _PROBE_BYTES)
    for number in range(_PROBES):
        digest.update(os.pread(descriptor, _PROBE_BYTES, last * number // (_PROBES - 1)))
    return digest.hexdigest()


def _file_system(path: Path) -> str | None:
    """The type of the file system that holds a file, such as ext4; None if it is unknown."""
    if not _MOUNTS.is_file():
        return None
    device = os.stat(path).st_dev  # noqa: PTH116 - beside the other calls of os
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text(errors="replace").splitlines():
        head, _, tail = line.partition(" - ")
        if head.split()[2] == wanted:
            return tail.split()[0]
    return None


def _is_for_writing(folder: Path) -> bool:
    """Whether the folder has a write permission at all; root ignores permissions, so they are checked here."""
    return bool(folder.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


def _read(candidate: Path, path: Path) -> Memo | None:
    """A trustworthy memo; anything odd about it gives None."""
    try:
        owner = candidate.stat().st_uid
        if owner not in (0, os.geteuid(), path.stat().st_uid):
            return None
        sealed = _Sealed.model_validate_json(candidate.read_bytes())
    except (OSError, ValidationError):
        return None
    return sealed.memo if sealed.checksum == _checksum(sealed.memo) else None


def _checksum(memo: Memo) -> str:
    return hashlib.sha256(memo.model_dump_json().encode()).hexdigest()
