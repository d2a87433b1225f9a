"""The known word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

MOST_KNOWN = 100
"""Among more names than these one is always near, and looking for it takes long."""
LONGEST = 64
"""Characters of a word that is compared."""
_CLOSEST = 5


def guess(word: str, known: Iterable[str]) -> str | None:
    """The known word that is nearest to a misspelled one; None where none is near."""
    import difflib  # only faults need it

    by_lower = {name.lower(): name for name in known if len(name) <= LONGEST}
    if len(by_lower) > MOST_KNOWN or len(word) > LONGEST:
        return None
    pairs = _pairs(word.lower())
    # a close look takes long where words are made to be alike, so only the closest by their pairs of letters get one
    closest = sorted(by_lower, key=lambda name: len(pairs ^ _pairs(name)))[:_CLOSEST]
    near = difflib.get_close_matches(word.lower(), closest, n=1, cutoff=0.7)
    return by_lower[near[0]] if near else None


def _pairs(word: str) -> set[str]:
    return {word[place : place + 2] for place in range(len(word) or 1)}
