"""A number out of what scripts write as a value: numbers, texts of numbers, and arrays or tensors of one element."""

from __future__ import annotations

import math
from typing import Any

LONGEST_TEXT = 64
"""Characters of a text that may be a number."""
LONGEST_NAME = 200
"""Characters of a metric's name."""
_AROUND = " \t\r\n'\",;()[]{}"
"""What a pattern such as ``\\S+`` takes along with a number, and what a printed dict has around it."""


def number(value: Any) -> float | None:
    """The number that a value is, as float64; NaN and infinities are numbers.

    Args:
        value: an int, a float, a text of one such as ``'0.6941',``, or what has ``item()`` for its one element, as
            numpy's scalars and tensors of no dimension do.

    Returns:
        None for everything else: true and false, other texts, arrays, None.
    """
    if type(value) is float:
        return value
    if isinstance(value, str):
        # float() also reads 1_000, which no script means
        found = None if len(value) > LONGEST_TEXT or "_" in value else _float(value)
        return found if found is not None else _of_text(value.strip(_AROUND))
    if isinstance(value, bool):
        return None
    return _float(value) if isinstance(value, int | float) else _of_one(value)


def step_number(value: Any) -> int | None:
    """The step that a value is: a whole number from 0, also as text or float; None for everything else."""
    if type(value) is int:
        return value if 0 <= value < 2**53 else None
    if type(value) is str and value.isdecimal() and len(value) < 16:
        return int(value)
    found = number(value)
    if found is None or not math.isfinite(found) or found != int(found) or not 0 <= found < 2**53:
        return None
    return int(found)


def _float(value: str | float) -> float | None:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _of_text(text: str) -> float | None:
    return None if not text or len(text) > LONGEST_TEXT or "_" in text else _float(text)


def _of_one(value: Any) -> float | None:
    item = getattr(value, "item", None)
    if not callable(item):
        return None
    try:
        found = item()
    except (ValueError, RuntimeError, TypeError):  # of more elements than one
        return None
    return number(found) if isinstance(found, int | float) else None
