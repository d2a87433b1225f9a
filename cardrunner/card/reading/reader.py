"""Bytes to a positioned document, strictly, in one pass over YAML events.

A card is a small, plain part of YAML 1.2: one UTF-8 document, a mapping with unique text keys, no anchors, aliases,
merge keys, tags or directives. Every fault that one pass can find is reported, and `CardError` is the only
exception that leaves this module, whatever the bytes.
"""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import yaml

from cardrunner.card.reading import characters
from cardrunner.card.reading.document import (
    BOM,
    Document,
    Entry,
    Fault,
    Lines,
    Loc,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
    Value,
    format_path,
    locate,
)
from cardrunner.card.reading.tree import GaveUpError, TreeBuilder
from cardrunner.errors import CardError

__all__ = [
    "Document",
    "Entry",
    "Fault",
    "Loc",
    "Mapping",
    "Mark",
    "Node",
    "Scalar",
    "Sequence",
    "Value",
    "format_path",
    "read_bytes",
    "read_document",
]

MAX_BYTES = 256 * 1024
MAX_FAULTS = 100
_TIGHT = re.compile(r"[^\s#]#")

# libyaml's event parser is about twenty times faster than the Python one and keeps its state on the heap; what crashes
# on deep nesting is its recursive composer, which is never reached from here, and the depth limit stops it early.
# Where PyYAML was built without libyaml, the Python parser reads the same values (a test compares them).
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def read_document(data: bytes, *, file: str) -> Document:
    """Read a card's bytes.

    Args:
        data: the whole file.
        file: its name, as faults should print it.

    Raises:
        CardError: with every `Fault` found, in the order of the file.
    """
    if len(data) > MAX_BYTES:
        raise CardError([_too_large(file)])
    try:
        text = characters.decode(data)
    except characters.NotUtf8Error as error:
        before = data[: error.offset].removeprefix(BOM).decode()
        mark = Lines(before).mark(len(before))
        raise CardError([Fault(file, mark.line, mark.column, "", str(error))]) from None
    reading = _Reading(file, text)
    root = reading.run()
    if reading.faults or root is None:
        raise CardError(sorted(reading.faults, key=lambda fault: (fault.line, fault.column))[:MAX_FAULTS])
    return Document(file=file, data=data, text=text, root=root)


def read_bytes(path: Path) -> bytes:
    """Read a regular card file once, up to the size limit, without blocking on pipes or devices.

    Raises:
        CardError: it is missing, unreadable, too large or not a regular file.
    """
    try:
        os.path.abspath(path).encode()  # noqa: PTH100 - links stay links; the name goes into records, which are UTF-8
        # asked before opening, since opening a device can already do something
        if stat.S_ISREG(path.stat().st_mode):
            return _read_regular(path)
        sentence = "this is not a regular file; give the path of a card"
    except FileNotFoundError:
        sentence = "there is no such file; check the path, or start a card with: cardrunner new NAME"
    except OSError as error:
        sentence = f"the file cannot be read ({error.strerror}); check the path and its permissions"
    except UnicodeEncodeError:
        sentence = "the name of this file or of a folder above it is not UTF-8 text; rename it"
    except ValueError:
        sentence = "this is not a path; give the path of a card"
    raise CardError([Fault(str(path), 1, 1, "", sentence)])


def _read_regular(path: Path) -> bytes:
    # O_NONBLOCK: a FIFO that has taken the file's place since the check would wait for a writer
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CardError([Fault(str(path), 1, 1, "", "this is not a regular file; give the path of a card")])
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CardError([_too_large(str(path))])
    return data


def _too_large(file: str) -> Fault:
    sentence = f"the file is larger than {MAX_BYTES // 1024} KB, the most a card may have; keep data and logs out of it"
    return Fault(file, 1, 1, "", sentence)


class _Reading:
    """One pass over one card: the faults of its characters, its syntax and its tree."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.faults: list[Fault] = []
        self.lines = Lines(text)
        self.tree = TreeBuilder(text, self._report)

    def run(self) -> Mapping | None:
        complete = self._build()
        self._check_characters()
        if not complete:
            return None
        self._check_tabs()
        self._check_indentation()
        self._check_comments()
        return self._top()

    def _build(self) -> bool:
        try:
            for event in self._events():
                self.tree.append(event)
        except GaveUpError:
            return False
        except yaml.MarkedYAMLError as error:
            self._report_syntax(error)
            return False
        except (yaml.YAMLError, ValueError, OverflowError):
            # the Python parser has these, without a place, for escapes such as "\UFFFFFFFF" and long version numbers
            self._report(Mark(1, 1), self.tree.path(), "an escape in quoted text is not a character; correct it")
            return False
        return True

    def _events(self) -> Iterator[yaml.Event]:
        source = characters.blanked(self.text)
        end = 0
        for offset in _directives(source):
            self._report(self.lines.mark(offset), "", _syntax().DIRECTIVE)
            end = offset + 1
        # turned into comments, they leave the rest readable at the same offsets
        yield from yaml.parse(re.sub("(?m)^%", "#", source[:end]) + source[end:], Loader=_LOADER)

    def _report_syntax(self, error: yaml.MarkedYAMLError) -> None:
        syntax, place = _syntax(), error.problem_mark or error.context_mark
        begun = error.context_mark or place
        if place is None or begun is None:
            self._report(Mark(1, 1), "", syntax.UNKNOWN)
            return
        sentence, at_context = syntax.explain(error.context or "", error.problem or "", begun.line + 1)
        if self.text[place.index : place.index + 1] == "\t":
            sentence = syntax.TAB
        where = begun if at_context else place
        self._report(Mark(where.line + 1, where.column + 1), self.tree.path(), sentence)

    def _check_characters(self) -> None:
        for count, (offset, sentence) in enumerate(characters.forbidden(self.text)):
            if count == MAX_FAULTS:
                break
            self._report_at(offset, sentence)

    def _check_tabs(self) -> None:
        """Allow tabs only in quoted text, block text and comments: elsewhere PyYAML's two parsers differ about them.

        https://github.com/yaml/pyyaml/issues/594
        """
        position = 0
        if "\t" in self.text:
            for start, end in [*self.tree.verbatim, (len(self.text), len(self.text))]:
                for tab in _stray_tabs(self.text[position:start]):
                    self._report_at(position + tab, "there is a tab here; use spaces, or quote text that holds it")
                position = end

    def _check_indentation(self) -> None:
        """Check the indentation that YAML requires of values over several lines and PyYAML does not enforce."""
        for begun in self.tree.continued:
            syntax = _syntax()
            for offset in syntax.outdented(self.text, begun.start, begun.end, begun.indent, text_itself=begun.text):
                line = self.lines.mark(begun.start).line
                self._report_at(offset, syntax.OUTDENTED.format(begun=line))
                break

    def _check_comments(self) -> None:
        """Require a space before comments: without it other readers take them for text or refuse them."""
        if _TIGHT.search(self.text) and self.tree.root is not None:
            syntax = _syntax()
            for offset in syntax.tight_comments(self.text, self.tree.root):
                self._report_at(offset, syntax.TIGHT)

    def _top(self) -> Mapping | None:
        root = self.tree.root
        if isinstance(root, Mapping):
            return root
        if root is None or root.start == root.end:
            self._report(Mark(1, 1), "", "the card is empty; start one with: cardrunner new NAME")
        else:
            kind = "a list" if isinstance(root, Sequence) else "a single value"
            self._report(root.mark, "", f'a card is a mapping of "key: value" lines, and this is {kind}')
        return None

    def _report_at(self, offset: int, message: str) -> None:
        root = self.tree.root
        self._report(self.lines.mark(offset), format_path(locate(root, offset)) if root is not None else "", message)

    def _report(self, mark: Mark, path: str, message: str) -> None:
        if mark.line > len(self.lines):  # a parser may report a missing end on a line after the last
            mark = self.lines.mark(len(self.text))
        self.faults.append(Fault(self.file, mark.line, mark.column, path, message))


def _syntax() -> ModuleType:
    """The module with the sentences for syntax errors, imported only when a card has one."""
    return importlib.import_module("cardrunner.card.reading.syntax")


def _directives(text: str) -> Iterator[int]:
    """Offsets of the lines above the content that begin with a percent sign."""
    offset = 0
    for line in text.split("\n"):
        if line.startswith("%"):
            yield offset
        elif line.strip() and not line.lstrip().startswith("#"):
            return
        offset += len(line) + 1


def _stray_tabs(text: str) -> Iterator[int]:
    """Offset of the first tab of each line that is not in its comment; the text holds no quoted or block text."""
    offset = 0
    for line in text.split("\n"):
        code = "" if line.startswith("#") else line.split(" #", 1)[0]
        if "\t" in code:
            yield offset + code.index("\t")
        offset += len(line) + 1
