"""Set one value in a card while every other byte stays: comments, layout, line ends.

An edit cuts at the places the reader recorded and writes the new value on one line. The result is read again and must
contain exactly the change that was asked for; otherwise the edit fails.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cardrunner.card.reading.document import (
    BOM,
    Document,
    Entry,
    Loc,
    Mapping,
    Node,
    Scalar,
    Sequence as ListNode,
    format_path,
)
from cardrunner.card.reading.one_line import PlainValue, one_line
from cardrunner.card.reading.reader import read_document
from cardrunner.errors import CardError, UsageError

_BLANK_LINES = re.compile(r"(?: *\r?\n)*")
_COMMA_AFTER = re.compile(r"[ \t]*,[ \t]*")


@dataclass(frozen=True)
class Edit:
    """One change.

    Args:
        loc: the value to set, such as ``("sign_off", "reviewers", 0, "signed")``; its parent must be in the card.
        value: the new value; a key that is absent is added after the last one of its mapping.
    """

    loc: Loc
    value: PlainValue


@dataclass(frozen=True)
class Removal:
    """Remove a key from its mapping; an absent key is left as it is.

    Args:
        loc: the key, such as ``("checklist", 0, "by")``.
    """

    loc: Loc


@dataclass(frozen=True)
class _Splice:
    start: int
    end: int
    text: str


class _NoWayError(Exception):
    """This layout cannot be edited in place."""


def edit_document(document: Document, edits: Sequence[Edit | Removal]) -> bytes:
    """Apply edits one after the other.

    Returns:
        The file's new bytes.

    Raises:
        UsageError: the layout cannot be edited in place, or the value is not allowed in a card.
    """
    for edit in edits:
        document = _edited(document, edit)
    return document.data


def _edited(document: Document, edit: Edit | Removal) -> Document:
    expected = _expected(document.value(), edit)
    try:
        splice = _set(document, edit) if isinstance(edit, Edit) else _remove(document, edit)
        if splice is None:
            return document
        result = read_document(_spliced(document, splice), file=document.file)
    except CardError as error:
        raise _refused(document, edit, f"the card would not be valid ({error.faults[0]})") from None
    except (_NoWayError, ValueError) as error:
        raise _refused(document, edit, str(error)) from None
    # repr tells 1, 1.0 and True apart, and keeps the order of keys
    if repr(result.value()) != repr(expected):
        raise _refused(document, edit, "this layout cannot be changed without touching something else")
    return result


def _refused(document: Document, edit: Edit | Removal, reason: str) -> UsageError:
    mark = document.mark(edit.loc, key=True)
    place = f"{document.file}:{mark.line}:{mark.column}: {format_path(edit.loc)}"
    return UsageError(f"{place}: cannot be edited: {reason}; nothing was written, edit the file by hand")


def _spliced(document: Document, splice: _Splice) -> bytes:
    text = document.text[: splice.start] + splice.text + document.text[splice.end :]
    return BOM * document.data.startswith(BOM) + text.encode()


# ---------------------------------------------------------------- setting


def _set(document: Document, edit: Edit) -> _Splice:
    new = one_line(edit.value)
    parent = document.find(edit.loc[:-1]) if edit.loc else None
    target = document.find(edit.loc)
    if isinstance(parent, ListNode) and target is not None:
        return _replacement(document, target, new)
    if not isinstance(parent, Mapping):
        raise _NoWayError("the card has no such place")
    entry = parent.entry(edit.loc[-1])
    if entry is not None:
        return _replacement(document, entry.value, new, key=entry.key)
    line = f"{one_line(str(edit.loc[-1]))}: {new}"
    return _flow_insertion(parent, line) if parent.flow else _block_insertion(document, parent, line)


def _replacement(document: Document, node: Node, new: str, *, key: Scalar | None = None) -> _Splice:
    """Replace a value; one left out may lack its space (``signed:``) and in flow style its colon (``{signed}``)."""
    if node.start < node.end:
        return _Splice(node.start, node.end, new)
    colon = ":" if key is not None and ":" not in document.text[key.end : node.start] else ""
    space = " " if colon or not document.text[: node.start].endswith((" ", "\n")) else ""
    return _Splice(node.start, node.start, f"{colon}{space}{new}")


def _flow_insertion(parent: Mapping, line: str) -> _Splice:
    if not parent.entries:
        return _Splice(parent.start + 1, parent.start + 1, line)
    place = _entry_end(parent.entries[-1])
    return _Splice(place, place, f", {line}")


def _block_insertion(document: Document, parent: Mapping, line: str) -> _Splice:
    """Add a line below the mapping's last one, indented as its keys are."""
    text, first = document.text, parent.entries[0]
    indent = " " * (first.key.mark.column - 1)
    place = _below(document, parent)
    newline = "\r\n" if "\r\n" in text else "\n"
    if place == len(text) and not text.endswith("\n"):
        return _Splice(place, place, f"{newline}{indent}{line}")
    return _Splice(place, place, f"{indent}{line}{newline}")


def _below(document: Document, node: Node) -> int:
    """Where the first line below a node begins; the blank lines that a block text with ``+`` keeps belong to it."""
    place = _line_end(document.text, node.end)
    last = _block_text(node)
    if last and "+" in document.source(last).partition("\n")[0]:
        return place + len(_BLANK_LINES.match(document.text, place)[0])  # type: ignore[index]  # it matches nothing, too
    return place


def _block_text(node: Node) -> Scalar | None:
    """The ``|`` or ``>`` text that a node ends with, if it does."""
    if isinstance(node, Mapping) and node.entries and not node.flow:
        return _block_text(node.entries[-1].value)
    if isinstance(node, ListNode) and node.items and not node.flow:
        return _block_text(node.items[-1])
    return node if isinstance(node, Scalar) and node.style in ("literal", "folded") else None


def _line_end(text: str, offset: int) -> int:
    """The offset behind the line feed of the line that holds `offset`."""
    found = text.find("\n", offset)
    return len(text) if found < 0 else found + 1


# ---------------------------------------------------------------- removing


def _remove(document: Document, edit: Removal) -> _Splice | None:
    parent = document.find(edit.loc[:-1]) if edit.loc else None
    if not isinstance(parent, Mapping):
        raise _NoWayError("the card has no such place")
    index = next((n for n, entry in enumerate(parent.entries) if entry.key.value == edit.loc[-1]), None)
    if index is None:
        return None
    return _flow_removal(document, parent, index) if parent.flow else _block_removal(document, parent, index)


def _flow_removal(document: Document, parent: Mapping, index: int) -> _Splice:
    """Cut the entry with the comma before it, or with the one behind it where it stands first or on its own line."""
    entry = parent.entries[index]
    before = _entry_end(parent.entries[index - 1]) if index else None
    end = _entry_end(entry)
    if before is not None and "\n" not in document.text[before : entry.key.start]:
        return _Splice(before, end, "")
    comma = _COMMA_AFTER.match(document.text, end)
    return _Splice(entry.key.start, comma.end() if comma else end, "")


def _block_removal(document: Document, parent: Mapping, index: int) -> _Splice:
    text, entry = document.text, parent.entries[index]
    start = text.rfind("\n", 0, entry.key.start) + 1
    end = _below(document, entry.value)
    if text[start : entry.key.start].strip():
        raise _NoWayError("it is the first key of its list item")
    above = _block_text(parent.entries[index - 1].value) if index else None
    if end == len(text) and not text.endswith("\n") and above is None:  # a block text above needs its line end
        start = max(0, start - 2 if text[:start].endswith("\r\n") else start - 1)
    return _Splice(start, end, "")


def _entry_end(entry: Entry) -> int:
    return max(entry.key.end, entry.value.end) if entry.value.start == entry.value.end else entry.value.end


# ---------------------------------------------------------------- what the result must say


def _expected(value: object, edit: Edit | Removal) -> object:
    def changed(inner: object, loc: Loc) -> object:
        if not loc:
            return _as_read(edit.value) if isinstance(edit, Edit) else inner
        step, *rest = loc
        if isinstance(inner, tuple):
            return tuple(changed(item, tuple(rest)) if index == step else item for index, item in enumerate(inner))
        if not isinstance(inner, dict):
            return inner
        if isinstance(edit, Removal) and not rest:
            return {key: item for key, item in inner.items() if key != step}
        return {**inner, step: changed(inner.get(step), tuple(rest))}

    return changed(value, edit.loc)


def _as_read(value: PlainValue) -> object:
    if isinstance(value, dict):
        return {key: _as_read(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_as_read(inner) for inner in value)
    return value
