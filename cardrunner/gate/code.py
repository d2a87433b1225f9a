"""The code that a card covers: its digest, what speaks against it, and the copy from which a run trains.

The digest is over the files that git tracks in `code.folder`, as they are in the working tree, and those that
`code.files` names. What cardrunner itself writes or trusts is left out, so that signing a card does not change it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.plan import CodePin
from cardrunner.common.git import ask_git
from cardrunner.common.text import listed, plural
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.gate.code_listing import FIELD, list_code
from cardrunner.gate.findings import Finding
from cardrunner.workspace import Workspace

_SHOWN: Final = 5
_BLOCK: Final = 1 << 20
_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_OWNER_RUNS: Final = 0o100


@dataclass(frozen=True)
class CodeFiles:
    """The files of a code folder, relative to it and sorted."""

    folder: Path
    files: tuple[str, ...]
    untracked: tuple[str, ...] = ()
    """Files beside them that a script could import, and that are not part of it."""
    commit: str | None = None
    """The git commit; None without git."""

    @property
    def sha256(self) -> str:
        """The digest over ``path NUL mode NUL size NUL bytes`` of every file.

        Raises:
            EnvironmentFailed: a file cannot be read.
            UsageError: a link leads out of the folder.
        """
        digest = hashlib.sha256()
        for name in self.files:
            digest.update(f"{name}\0".encode(errors="surrogateescape"))
            self._feed(digest, name)
        return digest.hexdigest()

    def _feed(self, digest: hashlib._Hash, name: str) -> None:
        """Add mode, size and bytes of a file to a digest."""
        path = self.folder / name
        try:
            if path.is_symlink():
                target = os.fsencode(self._checked_link(path))
                digest.update(f"link\0{len(target)}\0".encode() + target)
                return
            with path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                mode = "program" if status.st_mode & _OWNER_RUNS else "file"
                digest.update(f"{mode}\0{status.st_size}\0".encode())
                while block := stream.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise EnvironmentFailed(f"{FIELD}: {path} cannot be read: {error.strerror}") from None

    def _checked_link(self, path: Path) -> Path:
        target = path.readlink()
        if target.is_absolute() or not path.resolve().is_relative_to(self.folder.resolve()):
            raise UsageError(f"{FIELD}: the link {path} leads out of the folder; name a copy of its target instead")
        return target

    @property
    def sums(self) -> dict[str, str]:
        """The sha256 of each file and its mode, by its name; without those that are missing."""
        return {name: self._sum(name) for name in self.files if os.path.lexists(self.folder / name)}

    def _sum(self, name: str) -> str:
        digest = hashlib.sha256()
        self._feed(digest, name)
        return digest.hexdigest()

    def unlike(self, sums: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
        """Each file that has another sum than before, and whether it is there at all."""
        now = self.sums
        yield from ((name, name in now) for name, before in sums.items() if now.get(name) != before)

    @property
    def pointers(self) -> tuple[str, ...]:
        """Files that git-lfs has not fetched: they hold the name of their content instead of it."""
        return tuple(name for name in self.files if _starts(self.folder / name, _POINTER))

    def sizes(self) -> dict[str, int]:
        """The bytes of every file; a link has none."""
        found: dict[str, int] = {}
        for name in self.files:
            with contextlib.suppress(OSError):
                found[name] = 0 if (self.folder / name).is_symlink() else (self.folder / name).stat().st_size
        return found

    def copy_to(self, target: Path) -> None:
        """Copy every file to a new folder.

        Raises:
            EnvironmentFailed: one cannot be read or written.
        """
        for name in self.files:
            place = target / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.folder / name, place, follow_symlinks=False)
            except OSError as error:
                raise EnvironmentFailed(f"cannot copy {self.folder / name} to {place}: {error.strerror}") from None


def code_files(folder: Path, patterns: Sequence[str] = (), *, beside: bool = True) -> CodeFiles:
    """The files that the digest of a code folder is over; see `list_code`.

    Args:
        folder: the code folder.
        patterns: `code.files`.
        beside: also look for importable files that are no part of it.

    Raises:
        UsageError: there is no such folder, or neither git nor a pattern says which files are code.
        EnvironmentFailed: git fails.
    """
    found = list_code(folder, patterns, beside=beside)
    return CodeFiles(folder, found.files, found.untracked, found.commit)


def code_of(pin: CodePin, workspace: Workspace, *, beside: bool = True) -> CodeFiles:
    """The files of a card's code; see `code_files`."""
    folder = workspace.inside(pin.folder or ".", field=FIELD)
    return code_files(folder, pin.files, beside=beside)


def code_findings(card: Card, workspace: Workspace) -> Iterator[Finding]:
    """What speaks against launching a card with the code that is in the workspace now."""
    pin = card.code
    if pin is None or pin.folder is None:
        return
    try:
        found = code_of(pin, workspace)
        digest = found.sha256
    except (UsageError, EnvironmentFailed) as error:
        yield Finding("code", str(error))
        return
    if pin.sha256 is None:
        yield Finding("code", "code.sha256 is missing, so that the signatures do not cover the code")
    elif digest != pin.sha256:
        yield Finding("code", f"{pin.folder} is not the code that was signed{_changes(found, pin)}")
    if found.untracked:
        what = f"{plural(len(found.untracked), 'file')} that the script could import not tracked: "
        why = "add them to git, ignore them there, or list them in code.files"
        yield Finding("code", f"{what}{_few(found.untracked)}; {why}")
    if found.pointers:
        yield Finding("code", f"{_few(found.pointers)}: the content is not here but with git-lfs; git lfs pull")


def keep_code(card: Card, workspace: Workspace, target: Path) -> CodeFiles | None:
    """Copy the code of a card to a new folder, which keeps the layout of the workspace.

    Args:
        card: the card.
        workspace: where the code is.
        target: the new folder.

    Returns:
        the copied files; None for a card without code of its own.

    Raises:
        EnvironmentFailed: a file cannot be copied, or the copy is not what was signed.
        UsageError: the code folder is not usable.
    """
    pin = card.code
    if pin is None or pin.folder is None:
        return None
    found, place = code_of(pin, workspace, beside=False), target / pin.folder
    found.copy_to(place)
    copied = CodeFiles(place, found.files)
    if pin.sha256 is not None and copied.sha256 != pin.sha256:
        raise EnvironmentFailed(f"{FIELD}: {found.folder} changed while it was copied; launch again")
    return CodeFiles(place, found.files, commit=found.commit)


def link_data(card: Card, workspace: Workspace, target: Path) -> None:
    """Link the data files that a card names into the copy of its code, at their paths.

    Args:
        card: the card.
        workspace: where the data is.
        target: the copy, with the layout of the workspace, so that paths from the code to data stay what they are. A
            path from the root of a volume begins there.

    Raises:
        EnvironmentFailed: a file cannot be found or linked.
        UsageError: a path leads out of the copy.
    """
    for entry in () if card.data.is_synthetic else card.data.source:
        for name, found in workspace.data_named(entry.path, pattern=entry.is_pattern).items():
            _link(target, name.lstrip("/"), found.absolute())


def _link(target: Path, name: str, found: Path) -> None:
    """Link a data file into the copy of the code, unless it is part of the code."""
    link = target / name
    if ".." in link.relative_to(target).parts or not link.parent.resolve().is_relative_to(target.resolve()):
        raise UsageError(f"data.source: {name} leads out of {target}; write a path in the workspace")
    if os.path.lexists(link) and not link.is_symlink():
        return
    try:
        if not (link.is_symlink() and link.readlink() == found):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(found)
    except OSError as error:
        raise EnvironmentFailed(f"cannot link {found} to {link}: {error.strerror}") from None


def _changes(found: CodeFiles, pin: CodePin) -> str:
    """What git says has changed since the commit of the card."""
    if pin.commit is None or found.commit is None:
        return ""
    try:
        stat = ask_git(
            found.folder, "diff", "--stat", "--no-color", "--no-ext-diff", pin.commit, "--", ".", field=FIELD
        )
    except EnvironmentFailed:
        return f"; the commit {pin.commit} of the card is not in this repository"
    lines = [" ".join(line.split()) for line in stat.splitlines()]
    if not lines:
        return f"; git sees no change since {pin.commit}: modes, line endings or filters (autocrlf, LFS) differ here"
    shown = "; ".join((*lines[:_SHOWN], *(lines[-1:] if len(lines) > _SHOWN else ())))
    return f": {shown}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return listed([*names[:_SHOWN], *([f"{more} more"] if more > 0 else [])])


def _starts(path: Path, words: bytes) -> bool:
    with contextlib.suppress(OSError):
        if path.is_symlink() or path.stat().st_size > _BLOCK:
            return False
        with path.open("rb") as stream:
            return stream.read(len(words)) == words
    return False
