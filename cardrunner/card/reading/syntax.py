"""What PyYAML says about broken syntax, as sentences for people who write cards.

Both of its parsers are covered: the C one (libyaml) and the Python one word the same problems differently.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cardrunner.card.reading.document import Mapping, Node, Sequence
from cardrunner.card.reading.tree import TOO_DEEP

TAB = "a tab is used where spaces are needed; indent with spaces"
DIRECTIVE = 'directives ("%YAML", "%TAG") are not used in cards; delete the line'
UNKNOWN = "this is not valid YAML; check the quotes, brackets and indentation here"
OUTDENTED = "this continues what was opened on line {begun} and has to be indented deeper than its key; add spaces"
TIGHT = 'a comment begins with a space and "#"; put a space here, or quote text that holds "#"'
_TAGS = 'tags such as "!name" are not used in cards; delete it, or quote the text if it begins with "!"'
_ANCHORS = 'anchors and aliases ("&name", "*name") are not used in cards; write the value out, or quote the text'
_ESCAPE = 'this "\\" escape is unknown; write the character itself, "\\\\" for a backslash, or single quotes'
_UNCLOSED = "the {open} opened on line {begun} is not closed here; close it, or separate the items with commas"


@dataclass(frozen=True, slots=True)
class _SyntaxRow:
    pattern: str
    sentence: str
    at_context: bool = False


def _row(pattern: str, sentence: str, *, at_context: bool = False) -> _SyntaxRow:
    return _SyntaxRow(pattern, sentence, at_context)


# matched in order against "context: problem"
_ROWS = (
    _row("maximum nesting depth", TOO_DEEP),  # newer libyaml gives up by itself, before it reports what is open
    _row("tab character|'\\\\t'", TAB),
    _row("(scanning|parsing) a tag|tag handle|duplicate tag", _TAGS),
    _row("scanning an (anchor|alias)|duplicate anchor", _ANCHORS),
    _row("directive|incompatible yaml", DIRECTIVE),
    _row("unexpected end of stream", "the quote opened here is never closed; close it", at_context=True),
    _row("document indicator", '"---" or "..." is inside quoted text; close the quote before it'),
    _row("escape|hexdec", _ESCAPE),
    _row("mapping values are not allowed", '": " cannot stand here; quote text with a colon, or check the indentation'),
    _row(
        "sequence entries are not allowed", '"- " cannot begin a list here; put it on its own line, or quote the text'
    ),
    _row("simple key", 'this line is not "key: value"; write a colon and a space after the key', at_context=True),
    _row("flow sequence", _UNCLOSED.replace("{open}", '"["')),
    _row("flow mapping", _UNCLOSED.replace("{open}", '"{{"')),
    _row("block scalar", 'after "|" or ">" the text begins on the next line, indented with spaces'),
    _row(
        "block collection", 'this is not an item of the list begun on line {begun}; check the indentation and the "- "'
    ),
    _row(
        "block mapping",
        "this does not continue the mapping begun on line {begun}; check the indentation and the quotes",
    ),
    _row("node content", "a value is expected here; write one, or quote text that begins with a special character"),
    _row("document start", "this belongs to nothing above; check the indentation, a card is one mapping of keys"),
    _row("cannot start any token", "text cannot begin with this character; put it in quotes"),
)


def outdented(text: str, start: int, end: int, indent: int, *, text_itself: bool) -> Iterator[int]:
    """Offsets of the continuation lines that are not deeper than the block around them.

    Args:
        text: the card.
        start: where quoted text or a bracket opens.
        end: behind where it closes.
        indent: of the block around it; -1 at the top level.
        text_itself: quoted text, in which no line is a comment or a closing bracket.
    """
    offset = text.find("\n", start, end)
    while offset >= 0:
        begin = offset + 1
        offset = text.find("\n", begin, end)
        line = text[begin : offset if offset >= 0 else end]
        said = line.lstrip(" ")
        deep = len(line) - len(said)
        closes = not text_itself and said[:1] in ("]", "}") and deep == indent
        if said.strip() and deep <= indent and not closes and (text_itself or not said.startswith("#")):
            yield begin + deep


def tight_comments(text: str, root: Node) -> Iterator[int]:
    """Offsets of comments without a space before them, which PyYAML accepts and YAML does not."""
    spans = sorted(_spans(text, root))
    starts = [start for start, _ in spans]

    def in_value(offset: int) -> bool:
        place = bisect.bisect_right(starts, offset) - 1
        return place >= 0 and offset < spans[place][1]

    begin = 0
    for line in text.splitlines(keepends=True):
        marks = (found.start() for found in re.finditer("#", line))
        first = next((mark for mark in marks if not in_value(begin + mark)), None)
        if first and line[first - 1] not in " \t":
            yield begin + first
        begin += len(line)


def _spans(text: str, node: Node) -> Iterator[tuple[int, int]]:
    """The spans of values and keys; for block text only the lines below its first."""
    if isinstance(node, Mapping):
        for entry in node.entries:
            yield entry.key.start, entry.key.end
            yield from _spans(text, entry.value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _spans(text, item)
    elif node.style in ("literal", "folded"):
        yield text.find("\n", node.start) + 1, node.end
    elif node.start < node.end:
        yield node.start, node.end


def explain(context: str, problem: str, begun: int) -> tuple[str, bool]:
    """The sentence for a problem, and whether it belongs at the context's place instead of the problem's.

    Args:
        context: what the parser was doing, possibly empty.
        problem: what it rejected.
        begun: the line on which the context began.
    """
    said = f"{context}: {problem}"
    for row in _ROWS:
        if re.search(row.pattern, said, re.IGNORECASE | re.DOTALL):
            return row.sentence.format(begun=begun), row.at_context
    return UNKNOWN, False
