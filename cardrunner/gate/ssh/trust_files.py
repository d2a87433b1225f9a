"""Reading the small text files that say whose keys count."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cardrunner.card.reading import characters
from cardrunner.card.reading.reader import Fault

LARGEST_FILE = 256 << 10


class UnreadableError(Exception):
    """The file cannot be used; its text is a sentence.

    Args:
        line: where in the file, from 1.
    """

    def __init__(self, sentence: str, line: int = 1) -> None:
        self.line = line
        super().__init__(sentence)


def read_trust_file(path: Path) -> bytes | None:
    """The bytes of a file, read once; None if the file does not exist.

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
            data = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        # a dangling link is an error, not an absent file: a list of revoked keys must not vanish silently
        if path.is_symlink():
            raise UnreadableError("this links to a file that is not there; put the file there") from None
        return None
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror}); check its permissions") from None
    if len(data) > LARGEST_FILE:
        raise UnreadableError(f"is larger than {LARGEST_FILE // 1024} KB; keep one line for each key")
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
