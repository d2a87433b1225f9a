"""YAML events to positioned nodes, with limits, counting every fault on the way."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple, cast

import yaml

from cardrunner.card.reading import characters, scalars
from cardrunner.card.reading.document import (
    Entry,
    Loc,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
    Style,
    Value,
    format_path,
    quoted,
)

MAX_DEPTH = 32
TOO_DEEP = f"lists and mappings are nested more than {MAX_DEPTH} deep; flatten them"
NO_TEXT = 'no text follows "|" or ">", and readers disagree on what that means; write the text there, or "" for none'
MAX_NODES = 10_000
MAX_SCALAR_BYTES = 64 * 1024

_STYLES: dict[str, Style] = {"'": "single", '"': "double", "|": "literal", ">": "folded"}


class GaveUpError(Exception):
    """Reading cannot go on; the fault is recorded. Never leaves the reader."""


class _Open:
    """A list or mapping whose end has not been reached."""

    __slots__ = ("entries", "flow", "items", "key", "mapping", "mark", "seen", "start")

    def __init__(self, mark: Mark, start: int, *, flow: bool, mapping: bool) -> None:
        self.mark = mark
        self.start = start
        self.flow = flow
        self.mapping = mapping
        self.key: Scalar | None = None
        self.entries: list[Entry] = []
        self.items: list[Node] = []
        self.seen: dict[str, Mark] = {}

    def step(self) -> Loc:
        """The key or index that is being read; empty between two entries."""
        if not self.mapping:
            return (len(self.items),)
        return (str(self.key.value),) if self.key else ()

    def close(self, end: int) -> Node:
        """The finished node; a block collection ends with its last child, whatever blank lines follow."""
        if self.mapping:
            end = end if self.flow or not self.entries else self.entries[-1].value.end
            return Mapping(tuple(self.entries), self.mark, self.start, end, self.flow)
        end = end if self.flow or not self.items else self.items[-1].end
        return Sequence(tuple(self.items), self.mark, self.start, end, self.flow)


class Continued(NamedTuple):
    """Quoted text, or a list or mapping in brackets, over several lines; `indent` is that of the block around it."""

    start: int
    end: int
    indent: int
    text: bool


class TreeBuilder:
    """Builds a tree from the events of one document, added in order.

    Args:
        text: what the events were parsed from.
        report: called with the place, the path and the sentence of every fault.
    """

    def __init__(self, text: str, report: Callable[[Mark, str, str], None]) -> None:
        self.text = text
        self.report = report
        self.root: Node | None = None
        self.verbatim: list[tuple[int, int]] = []  # spans of quoted and block text
        self.continued: list[Continued] = []
        self._stack: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def append(self, event: yaml.Event) -> None:
        """Add the next event.

        Raises:
            GaveUpError: a limit was passed or a second document begins.
        """
        if isinstance(event, yaml.ScalarEvent):
            self._count(event)
            self._place(self._scalar(event))
        elif isinstance(event, yaml.CollectionStartEvent):
            self._count(event)
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._stack.pop()
            if closed.flow and not self._in_flow:  # brackets around it have the same block around them
                self._continues(closed.start, event, text=False)
            self._place(closed.close(_span(event)[1]))
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(
                event, 'aliases are not used in cards; write the value out, or quote text that begins with "*"'
            )
            self._place(Scalar(None, _mark(event), *_span(event), "plain"))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._begin_document(event)

    def path(self) -> str:
        """Where in the card the next event belongs."""
        return format_path(self._loc())

    @property
    def _in_flow(self) -> bool:
        return bool(self._stack) and self._stack[-1].flow

    def _loc(self) -> Loc:
        return tuple(step for opened in self._stack for step in opened.step())

    def _begin_document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self.report(_mark(event), "", "a second document begins here; a card is one document, delete the line")
            raise GaveUpError

    def _count(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(event, f"the card has more than {MAX_NODES} values; keep data out of it")
            raise GaveUpError
        if event.anchor is not None:
            self._refuse(event, 'anchors are not used in cards; delete it, or quote text that begins with "&"')
        if event.tag is not None:
            self._refuse(event, 'tags are not used in cards; delete it, or quote text that begins with "!"')

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(event, TOO_DEEP)
            raise GaveUpError
        mapping = isinstance(event, yaml.MappingStartEvent)
        self._stack.append(_Open(_mark(event), _span(event)[0], flow=bool(event.flow_style), mapping=mapping))

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        start, end = _span(event)
        if len(event.value.encode("utf-8", "replace")) > MAX_SCALAR_BYTES:
            self._refuse(event, f"this text is longer than {MAX_SCALAR_BYTES // 1024} KB; move it to a file of its own")
            raise GaveUpError
        mark = _mark(event)
        style: Style = _STYLES.get(event.style or "", "plain")
        if style in ("single", "double"):
            self.verbatim.append((start, end))
            self._continues(start, event, text=True)
        elif style != "plain":
            below = self.text.find("\n", start, end)  # the text starts on the line below the "|" or ">"
            self.verbatim.append((end if below < 0 else below, end))
            end = start + len(self.text[start:end].rstrip())
            self._check_block_text(event)
        if start == end:  # a value left out: right behind its colon, where one of PyYAML's parsers skips spaces
            start = end = start - min(self._spaces_before(start), mark.column - 1)
            mark = Mark(mark.line, mark.column - (_span(event)[0] - start))
        return Scalar(self._value(event, style), mark, start, end, style)

    def _check_block_text(self, event: yaml.ScalarEvent) -> None:
        """Refuse block text that PyYAML accepts and other readers read differently or refuse."""
        if not event.value.strip("\n"):
            self._refuse(event, NO_TEXT)
        elif _mark(event).column - 1 <= self._block_indent():
            self._refuse(event, f'"{event.style}" has to be on the line of its key, or be indented deeper than it')

    def _block_indent(self) -> int:
        """The indentation of the block that the next value belongs to; -1 at the top level."""
        return next((opened.mark.column - 1 for opened in reversed(self._stack) if not opened.flow), -1)

    def _continues(self, start: int, event: yaml.Event, *, text: bool) -> None:
        """Remember a value that spans several lines, with the indentation that its lines have to exceed."""
        end = _span(event)[1]
        if self.text.find("\n", start, end) >= 0:
            self.continued.append(Continued(start, end, self._block_indent(), text))

    def _spaces_before(self, offset: int) -> int:
        position = offset
        while position and self.text[position - 1] == " ":
            position -= 1
        return offset - position

    def _value(self, event: yaml.ScalarEvent, style: Style) -> Value:
        text: str = event.value
        if style == "double" and (smuggled := characters.forbidden_value(text)):
            self._refuse(event, smuggled)
        elif not text.isascii() and not unicodedata.is_normalized("NFC", text):
            self._refuse(event, "this text is not in Unicode form NFC; retype its accents, or convert the file to NFC")
        if style != "plain":
            return text
        if text in ("-", "?", ":"):
            self._refuse(event, f'"{text}" alone is a mark of YAML, not text; quote it')
        elif text.endswith(" -") and self._in_flow:
            self._refuse(event, 'text in brackets that ends with "-" is not text to every reader; quote it')
        try:
            return scalars.resolve(text)
        except ValueError as error:
            self._refuse(event, str(error))
            return text

    def _place(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        if not top.mapping:
            top.items.append(node)
        elif top.key is None:
            top.key = self._key(node, top)
        else:
            top.entries.append(Entry(top.key, node))
            top.key = None

    def _key(self, node: Node, top: _Open) -> Scalar:
        source = self.text[node.start : node.end]
        if not isinstance(node, Scalar):
            self.report(node.mark, self.path(), "a key is text, not a list or mapping; write a plain key")
            return Scalar(source, node.mark, node.start, node.end, "plain")
        if not isinstance(node.value, str):
            self.report(
                node.mark, self.path(), f"this key reads as {_kind(node.value)}; write a name, or quote the key"
            )
        elif node.style == "plain" and node.value == "<<":
            self.report(node.mark, self.path(), "merge keys are not used in cards; write the values out")
        elif node.start and self.text[node.start - 1] == "?":
            self.report(
                node.mark, self.path(), 'there is a "?" right before this key; delete it, or quote the key with it'
            )
        elif characters.has_joiner(node.value):
            self.report(node.mark, self.path(), "this key holds a joiner, which cannot be seen; retype the key")
        elif (first := top.seen.setdefault(node.value, node.mark)) is not node.mark:
            message = f"{quoted(node.value)} is already set on line {first.line}; keep one of the two"
            self.report(node.mark, format_path((*self._loc(), node.value)), message)
        return Scalar(str(node.value), node.mark, node.start, node.end, node.style)

    def _refuse(self, event: yaml.Event, message: str) -> None:
        self.report(_mark(event), self.path(), message)


def _kind(value: float | bool | None) -> str:
    if value is None:
        return "nothing"
    return "true or false" if isinstance(value, bool) else "a number"


def _span(event: yaml.Event) -> tuple[int, int]:
    # a parser's events always have marks; only hand-made ones lack them
    return cast("yaml.Mark", event.start_mark).index, cast("yaml.Mark", event.end_mark).index


def _mark(event: yaml.Event) -> Mark:
    mark = cast("yaml.Mark", event.start_mark)
    return Mark(mark.line + 1, mark.column + 1)
