"""What an independent YAML 1.2 core parser makes of a text that cardrunner accepts: py-yaml12, on saphyr, in Rust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml12

from cardrunner.card.reading.document import Document, Node, Scalar, Sequence
from cardrunner.card.reading.reader import read_document


def disagreement(document: Document) -> str | None:
    """How the other parser reads an accepted document differently; None if it reads the same."""
    text = document.text
    if not text.endswith("\n"):  # the other adds a line end to block text that has none at the end of the file
        text += "\n"
        document = read_document(text.encode(), file=document.file)
    ours = as_json(document.value())
    try:
        theirs = _theirs(document)
    except ValueError as error:
        return f"py-yaml12 refuses it: {error}"
    if repr(ours) == repr(theirs):  # repr tells 1, 1.0 and True apart and keeps the order of keys
        return None
    return f"py-yaml12 reads {json.dumps(theirs, default=str)[:300]} for {json.dumps(ours)[:300]}"


def as_json(value: Any) -> Any:
    """A value as read, with lists for tuples."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


def _theirs(document: Document) -> Any:
    try:
        return yaml12.parse_yaml(document.text)
    except ValueError:
        text = document.text
        for place in sorted(_closing_lines(document.root, text), reverse=True):
            text = f"{text[:place]} {text[place:]}"
        if text == document.text:
            raise
        return yaml12.parse_yaml(text)


def _closing_lines(node: Node, text: str) -> Iterator[int]:
    """Offsets of the brackets that begin a line to close a list or mapping; see `benchmarks.mutated_cards`."""
    if isinstance(node, Scalar):
        return
    closing = node.end - 1
    if node.flow and not text[text.rfind("\n", 0, closing) + 1 : closing].strip(" "):
        yield closing
    for inner in node.items if isinstance(node, Sequence) else (entry.value for entry in node.entries):
        yield from _closing_lines(inner, text)
