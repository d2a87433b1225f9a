"""The small text files that say whose keys count, and `revoked_keys`: keys whose signatures no longer count.

`revoked_keys` has one key a line: a fingerprint (``SHA256:...``) or a public key as in a ``.pub`` file. It counts
whenever a signature was made.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cardrunner.card.reading import characters
from cardrunner.card.reading.reader import Fault
from cardrunner.gate.ssh.keys import MalformedError, is_key_kind, parse_key_text

LARGEST_FILE = 256 << 10


class UnreadableError(Exception):
    """The file cannot be used; its text is a sentence.

    Args:
        line: where in the file, from 1.
    """

    def __init__(self, sentence: str, line: int = 1) -> None:
        self.line = line
        super().__init__(sentence)


def read_trust_file(path: Path, *, largest: int = LARGEST_FILE) -> bytes | None:
    """The bytes of a file, read once; None if the file does not exist.

    Args:
        path: the file.
        largest: the bytes that it may have.

    Raises:
        UnreadableError: it is not a regular file, too large or cannot be read.
    """
    try:
        # asked before opening, since opening a device can already do something
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("this is not a regular file; put a text file there")
        # a plain open would wait on a FIFO that has replaced the file since
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableError("this is not a regular file; put a text file there")
            data = stream.read(largest + 1)
    except FileNotFoundError:
        # a dangling link is an error, not an absent file: a list of revoked keys must not vanish silently
        if path.is_symlink():
            raise UnreadableError("this links to a file that is not there; put the file there") from None
        return None
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror}); check its permissions") from None
    if len(data) > largest:
        raise UnreadableError(f"is larger than {largest // 1024} KB; keep one line for each key")
    return data


def text_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Number and content of each line with content.

    Raises:
        UnreadableError: it is not UTF-8 text, or holds characters that cannot be seen.
    """
    text = _decode(data)
    for offset, sentence in characters.forbidden(text):
        raise UnreadableError(sentence, text.count("\n", 0, offset) + 1)
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.strip(" \t\r")
        if content and not content.startswith("#"):
            yield number, content


def trust_fault(file: str, line: int, sentence: str) -> Fault:
    """A fault at the beginning of a line."""
    return Fault(file, line, 1, "", sentence)


def _decode(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError("is not UTF-8 text; save it as UTF-8", line) from None
    if text.startswith("\ufeff"):
        raise UnreadableError("begins with a byte order mark; save it without one")
    return text


FILE_NAME = "revoked_keys"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@dataclass(frozen=True, kw_only=True)
class RevokedKeys:
    """Fingerprints of revoked keys, each with the line that lists it.

    Args:
        file: what messages call the file.
        data: the file's bytes; None if there is no file.
        others: the lists of the workspaces around this one, which count as well.
    """

    lines: dict[str, int]
    faults: tuple[Fault, ...] = ()
    file: str = FILE_NAME
    data: bytes | None = None
    others: tuple[RevokedKeys, ...] = ()

    def place(self, fingerprint: str) -> tuple[str, int] | None:
        """The file and line that revoke a key; None if it is not revoked."""
        lists = (self, *self.others)
        return next(((each.file, each.lines[fingerprint]) for each in lists if fingerprint in each.lines), None)


Named = tuple[Path, str]
"""A file, and what messages call it."""


def files_of(folders: Sequence[Path], name: str) -> tuple[Named, ...]:
    """The file of that name in each folder; outside the first one, messages call it by its whole path."""
    return tuple((folder / name, str(folder / name) if above else name) for above, folder in enumerate(folders))


def copies_of(folder: Path, name: str) -> tuple[Named, ...]:
    """The copies of the file that a run folder keeps, named as in `cardrunner.gate.trust.Trust.files`."""
    others = (f"{name}.{number}" for number in range(2, 2 + len(list(folder.glob(f"{name}.*")))))
    return tuple((folder / each, each) for each in (name, *others))


def read_revoked_keys(folders: Sequence[Path]) -> RevokedKeys:
    """Read the files of a workspace and of those around it; without one, no key is revoked.

    Raises nothing: see `faults`.

    Args:
        folders: as `cardrunner.workspace.Workspace.levels`.
    """
    return revoked_in(files_of(folders, FILE_NAME))


def revoked_in(files: Sequence[Named]) -> RevokedKeys:
    """Read these files, the workspace's own first. Raises nothing: see `faults`."""
    own, *others = (_read(path, file) for path, file in files)
    faults = tuple(fault for each in (own, *others) for fault in each.faults)
    return replace(own, faults=faults, others=tuple(others))


def _read(path: Path, file: str) -> RevokedKeys:
    try:
        data = read_trust_file(path)
    except UnreadableError as error:
        return RevokedKeys(lines={}, faults=(trust_fault(file, error.line, str(error)),), file=file)
    return RevokedKeys(lines={}, file=file) if data is None else parse_revoked_keys(data, file=file)


def revoked_since(used: Mapping[str, str], revoked: RevokedKeys) -> Iterator[Fault]:
    """Faults in the approvals of a run: keys that were revoked after the launch.

    Args:
        used: the fingerprint of each key that signed, and who approved with it.
        revoked: the keys that are revoked today.
    """
    for fingerprint, reviewer in used.items():
        if (found := revoked.place(fingerprint)) is not None:
            why = f"the key that {reviewer} approved this run with has been revoked, {fingerprint}"
            yield trust_fault(*found, why)


def parse_revoked_keys(data: bytes, *, file: str = FILE_NAME) -> RevokedKeys:
    """Read the content of the file. Raises nothing: see `faults`."""
    lines: dict[str, int] = {}
    faults: list[Fault] = []
    try:
        for number, line in text_lines(data):
            try:
                lines.setdefault(_fingerprint(line), number)
            except MalformedError as error:
                faults.append(trust_fault(file, number, f"the line {error}"))
    except UnreadableError as error:
        faults.append(trust_fault(file, error.line, str(error)))
    return RevokedKeys(lines=lines, faults=tuple(faults), file=file, data=data)


def _fingerprint(line: str) -> str:
    words = line.split()
    if _FINGERPRINT.fullmatch(words[0]):
        return words[0]
    if is_key_kind(words[0]) and len(words) > 1:
        return parse_key_text(words[0], words[1]).fingerprint
    raise MalformedError(
        "is neither a fingerprint (SHA256:... with 43 characters, from ssh-keygen -l) nor a public key"
    )
