"""Plain text in two columns, 80 characters wide: a label, and what there is to say about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

WIDTH = 80
LABEL = 13
Lines = Iterable[str]


def block(label: str, lines: Lines) -> Iterator[str]:
    """A label beside its lines; nothing where there are none."""
    for number, line in enumerate(lines):
        yield f"{label if number == 0 else '':<{LABEL}}{line}".rstrip()


def paragraph(text: str, *, indent: int = 0, hang: int = 0) -> Iterator[str]:
    """A text in lines that fit beside the label; words, paths and names are never broken.

    Args:
        indent: how far all lines are moved in.
        hang: how much further the lines after the first are.
    """
    yield from textwrap.wrap(
        " ".join(text.split()),
        WIDTH - LABEL,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(rows: Sequence[Sequence[str]], align: str) -> Iterator[str]:
    """Rows as columns of equal width.

    Args:
        rows: all of one length.
        align: one of l and r per column.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            f"{cell:>{width}}" if side == "r" else f"{cell:<{width}}"
            for cell, width, side in zip(row, widths, align, strict=True)
        )
        yield "  ".join(cells).rstrip()
