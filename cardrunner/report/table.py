"""What facts functions hand to templates: tables, and text that is code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONGEST_TABLE = 40


@dataclass(frozen=True)
class Code:
    """A name that readers copy: a metric, a file, a digest, a command.

    Set as a code span where one can hold it, else escaped like other text.
    """

    text: str


@dataclass(frozen=True)
class Strong:
    """Text that stands out."""

    text: str


Cell = str | Code | Strong | int | None
"""None is shown as a dash."""


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        columns: the headings.
        align: one letter a column, ``l`` or ``r``.
        rows: cells; each row as long as `columns`.
        left_out: how many rows are not shown, because the table would be too long to read.
    """

    columns: tuple[str, ...]
    align: str
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0

    def __post_init__(self) -> None:
        if len(self.align) != len(self.columns) or any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(
                f"a table of {len(self.columns)} columns {self.columns} has a row or an alignment of another length"
            )


def table(columns: Sequence[str], align: str, rows: Iterable[Sequence[Cell]]) -> Table:
    """A table; of a long one the first rows and the last, evenly thinned out between."""
    every = tuple(tuple(row) for row in rows)
    kept = thin(every, LONGEST_TABLE)
    return Table(tuple(columns), align, kept, len(every) - len(kept))


def thin(rows: tuple[tuple[Cell, ...], ...], most: int) -> tuple[tuple[Cell, ...], ...]:
    """At most `most` rows, evenly chosen, the first and the last always among them."""
    if len(rows) <= most:
        return rows
    return tuple(rows[round(place * (len(rows) - 1) / (most - 1))] for place in range(most))
