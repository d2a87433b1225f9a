"""One line of a foreign history: its cells, and the numbers in them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from cardrunner.errors import UsageError

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NON_FINITE = {
    "nan": math.nan, "inf": math.inf, "infinity": math.inf, "+inf": math.inf, "-inf": -math.inf, "-infinity": -math.inf,
}  # fmt: skip
_SHOWN = 32
_HUGE = 10**308
"""JSON may hold larger whole numbers, which no float can."""


class Line(NamedTuple):
    """A line of a file. Cells are texts of a CSV, or values of JSON."""

    file: str
    number: int
    cells: Mapping[str, object]

    def value(self, column: str | None) -> float | None:
        """The number in a column; None where it is empty, or there is no such column.

        Raises:
            UsageError: it holds something else.
        """
        cell = None if column is None else self.cells.get(column)
        if cell is None or cell == "":
            return None
        if isinstance(cell, float):
            return cell
        if isinstance(cell, int) and not isinstance(cell, bool):
            return float(cell) if abs(cell) < _HUGE else math.copysign(math.inf, cell)
        if not isinstance(cell, str):
            raise self.fault(column, "is not a number")
        text = cell.strip().lower()
        if text in _NON_FINITE:
            return _NON_FINITE[text]
        if not _NUMBER.fullmatch(text):
            hint = "; write a decimal point" if re.fullmatch(r"-?[0-9]+,[0-9]+", text) else ""
            raise self.fault(column, f"{_shown(cell)} is not a number{hint}")
        return float(text)

    def fault(self, column: str | None, what: str) -> UsageError:
        """What is wrong with a cell, with its place."""
        return UsageError(f"{self.file}:{self.number}: column {_shown(column or '')}: {what}")


def _shown(text: str) -> str:
    """Text of a file in quotes, safe to print."""
    kept = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return f'"{"".join(sign if sign.isprintable() else "�" for sign in kept)}"'
