"""A card as read: values with the place each one came from, and the faults found on the way.

Lines and columns count from 1, columns in characters. ``start`` and ``end`` are offsets into `Document.text`,
so that one line can be edited without touching the rest. The small values are named tuples, which are made at start-up
several times faster than dataclasses.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

Loc: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = str | int | float | bool | None
Style: TypeAlias = Literal["plain", "single", "double", "literal", "folded"]

BOM = b"\xef\xbb\xbf"
_PLAIN_STEP = re.compile(r"[^\s.\[\]\"'\\:]{1,60}")


class Mark(NamedTuple):
    """A place in a file, counted from 1; `file` is empty for the file of the document itself."""

    line: int
    column: int
    file: str = ""


class Fault(NamedTuple):
    """One thing wrong with a card: where, and a sentence with the next step."""

    file: str
    line: int
    column: int
    path: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        parts = [f"{printable(self.file)}:{self.line}:{self.column}"]
        parts += ["warning"] if self.severity == "warning" else []
        parts += [self.path] if self.path else []
        return ": ".join([*parts, self.message])


class Scalar(NamedTuple):
    """A single value; ``start:end`` spans its source, quotes included (empty for a value left out)."""

    value: Value
    mark: Mark
    start: int
    end: int
    style: Style


class Sequence(NamedTuple):
    """A list; ``start:end`` runs from its first ``-`` or ``[`` to the end of its last item or ``]``."""

    items: tuple[Node, ...]
    mark: Mark
    start: int
    end: int
    flow: bool


class Entry(NamedTuple):
    """One ``key: value``; the key's value is always a `str`."""

    key: Scalar
    value: Node


class Mapping(NamedTuple):
    """Keys and values in the order written; ``start:end`` as for `Sequence`."""

    entries: tuple[Entry, ...]
    mark: Mark
    start: int
    end: int
    flow: bool

    def entry(self, key: str | int) -> Entry | None:
        """The entry of this key, or None."""
        return next((entry for entry in self.entries if entry.key.value == key), None)


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Document:
    """One card file: its exact bytes, their text (without a byte order mark) and the tree of nodes."""

    file: str
    data: bytes
    text: str
    root: Mapping

    def value(self) -> dict[str, object]:
        """The card as plain Python: dict, tuple for every list, str, int, float, bool, None."""
        return {str(entry.key.value): plain(entry.value) for entry in self.root.entries}

    def find(self, loc: Loc) -> Node | None:
        """The node at ``loc``, such as ``("targets", 0, "metric")``, or None if it is absent from the card."""
        node: Node | None = self.root
        for step in loc:
            node = child(node, step) if node is not None else None
        return node

    def mark(self, loc: Loc, *, key: bool = False) -> Mark:
        """The position of ``loc``, or its nearest ancestor that is in the card.

        Args:
            key: point at the key instead of its value where the whole of ``loc`` exists.
        """
        node: Node = self.root
        for depth, step in enumerate(loc):
            if key and depth == len(loc) - 1 and isinstance(node, Mapping) and (entry := node.entry(step)):
                return entry.key.mark
            inner = child(node, step)
            if inner is None:
                break
            node = inner
        return node.mark

    def fault(self, mark: Mark, loc: Loc, message: str, *, severity: Literal["error", "warning"] = "error") -> Fault:
        """A fault at a place of this document, or of the one the place is inherited from.

        Args:
            message: one sentence; unprintable characters in it, such as in a name from the card, are escaped.
        """
        file = mark.file or self.file
        return Fault(file, mark.line, mark.column, format_path(loc), printable(message), severity)

    def source(self, node: Node) -> str:
        """The characters that a node was read from."""
        return self.text[node.start : node.end]

    @cached_property
    def _lines(self) -> Lines:
        return Lines(self.text)


class Lines:
    """Turns offsets into marks."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def __len__(self) -> int:
        return len(self._starts)

    def mark(self, offset: int) -> Mark:
        """The line and column of an offset."""
        line = bisect.bisect_right(self._starts, offset)
        return Mark(line, offset - self._starts[line - 1] + 1)


def child(node: Node, step: str | int) -> Node | None:
    """The node under a key of a mapping or at an index of a list, or None."""
    if isinstance(node, Mapping):
        entry = node.entry(step)
        return entry.value if entry else None
    if isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def plain(node: Node) -> object:
    """A node as plain Python: dict, tuple, str, int, float, bool or None."""
    if isinstance(node, Mapping):
        return {str(entry.key.value): plain(entry.value) for entry in node.entries}
    if isinstance(node, Sequence):
        return tuple(plain(item) for item in node.items)
    return node.value


def locate(node: Node, offset: int) -> Loc:
    """The path of the innermost value that spans an offset; empty for the top level."""
    if isinstance(node, Mapping):
        for entry in node.entries:
            if entry.key.start <= offset < max(entry.value.end, entry.key.end + 1):
                return (str(entry.key.value), *locate(entry.value, offset))
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            if item.start <= offset < item.end:
                return (index, *locate(item, offset))
    return ()


def format_path(loc: Loc) -> str:
    """``("targets", 0, "metric")`` as ``targets[0].metric``; unusual keys are quoted, so a path is one safe line."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN_STEP.fullmatch(step) and step.isprintable():
            path += f".{step}" if path else step
        else:
            path += f"[{quoted(step)}]"
    return path


def quoted(text: str) -> str:
    """Text from a file, shortened and escaped so that it is safe to print inside a sentence."""
    short = text if len(text) <= 40 else f"{text[:40]}…"
    return '"' + printable(short).replace('"', '\\"') + '"'


def printable(text: str) -> str:
    """Text from a file as one line that is safe to print on a terminal: unprintable characters are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
