"""Signed cards whose content was changed afterwards."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from benchmarks.forgeries.office import MARKS, Case, edited, load
from cardrunner.card.load import LoadedCard
from cardrunner.card.reading.document import Document, Loc, Mapping as MappingNode, Scalar, Sequence as ListNode
from cardrunner.card.reading.edit import Edit, Removal
from cardrunner.card.reading.one_line import PlainValue
from cardrunner.errors import CardError, UsageError


def changed_leaves(text: str, chance: random.Random, *, kept: int, tries: int) -> Iterator[Case]:
    """Every leaf of the card changed in turn, and every key taken out; only cards that are still valid.

    Args:
        kept: how many changes of one leaf.
        tries: how many values are tried to find them.
    """
    loaded = load(text)
    for loc in _leaves(loaded.document.root):
        node = loaded.document.find(loc)
        others = islice(_others(node.value if isinstance(node, Scalar) else None, chance), tries)
        yield from _valid((Edit(loc, other) for other in others), loaded, "a leaf changed", kept)
        if isinstance(loc[-1], str):
            yield from _valid([Removal(loc)], loaded, "a key taken out", 1)


def changed_defaults(text: str, *, tries: int) -> Iterator[Case]:
    """Everything that the card leaves to its defaults, stated otherwise."""
    loaded = load(text)
    for loc, value in _unstated(loaded.card.model_dump(mode="json", by_alias=True), loaded.document):
        others: tuple[PlainValue, ...] = (
            (not value,) if isinstance(value, bool) else (3, 0.5, "1 epoch", "90s", "other")
        )
        yield from _valid((Edit(loc, other) for other in others[:tries]), loaded, "a default stated otherwise", 2)


def _valid(
    edits: Iterator[Edit] | Sequence[Edit | Removal], loaded: LoadedCard, kind: str, kept: int
) -> Iterator[Case]:
    found = 0
    for edit in edits:
        try:
            text = edited(loaded, edit)
            if load(text).digest != loaded.digest:
                yield Case(kind, text)
                found += 1
        except (CardError, UsageError):
            continue
        if found == kept:
            return


def _leaves(node: object, loc: Loc = ()) -> Iterator[Loc]:
    if isinstance(node, MappingNode):
        for entry in node.entries:
            if entry.key.value not in MARKS:
                yield from _leaves(entry.value, (*loc, str(entry.key.value)))
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _leaves(item, (*loc, index))
    else:
        yield loc


def _unstated(value: object, document: Document, loc: Loc = ()) -> Iterator[tuple[Loc, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in MARKS:
                yield from _unstated(inner, document, (*loc, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unstated(inner, document, (*loc, index))
    elif document.find(loc) is None and document.find(loc[:-1]) is not None:
        yield loc, value


def _others(value: object, chance: random.Random) -> Iterator[PlainValue]:
    """Values near the present one first: the next digit, another word; then anything that might fit."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value * 2, max(0, value - 1))
    elif isinstance(value, float):
        yield from (value * 1.000001, value * 2, value + 0.01)
    elif isinstance(value, str):
        digits = [found.start() for found in re.finditer("[0-9]", value)]
        for place in chance.sample(digits, min(2, len(digits))):
            yield value[:place] + str((int(value[place]) + 1) % 10) + value[place + 1 :]
        yield from (f"{value} ", f"{value}x", f"{value}.", value[:-1], value.swapcase(), value.replace(" ", "  "))
    yield from (
        "max",
        "min",
        "warn",
        "stop",
        "small",
        "game",
        "data",
        "train",
        "latest",
        "mse",
        "bce",
        "cosine",
        None,
        3,
    )
