"""Values as the page words them."""

from __future__ import annotations

from collections.abc import Sequence

from cardrunner import units
from cardrunner.card.document import Loc, Scalar
from cardrunner.card.load import LoadedCard


def written(loaded: LoadedCard, loc: Loc, otherwise: str) -> str:
    """A value as the card writes it, or otherwise where it does not write it down plainly."""
    node = loaded.document.find(loc)
    plain = isinstance(node, Scalar) and node.style == "plain" and node.value is not None
    return loaded.document.source(node) if node is not None and plain else otherwise


def shown(value: object) -> str:
    """A value of any kind: whole numbers in groups of three, true and false as cards have them."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else str(value)


def with_reasons(value: str, reasons: Sequence[str]) -> str:
    """``5 (because of this; and of that)``."""
    return f"{value} ({'; '.join(reasons)})" if reasons else value


def minutes(seconds: float) -> str:
    """Epoch times beside each other in one unit: ``30 min``, ``90 min``."""
    return f"{seconds / 60:g} min" if 60 <= seconds < 18000 else units.format_duration(seconds)


def money(dollars: float | None) -> str:
    """Dollars, where a price is known."""
    return "not known: no price" if dollars is None else units.format_dollars(dollars)
