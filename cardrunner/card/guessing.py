"""The known word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def guess(word: str, known: Iterable[str]) -> str | None:
    """The known word that is nearest to a misspelled one; None where none is near."""
    import difflib  # only faults need it

    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[near[0]] if near else None
