"""Words in sentences: lists, plurals, and the known word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

MOST_KNOWN = 100
"""Among more names than these one is always near, and looking for it takes long."""
LONGEST = 64
"""Characters of a word that is compared."""
_CLOSEST = 5


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; empty for no words."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def plural(number: int, noun: str, many: str | None = None) -> str:
    """``1 epoch``, ``2 epochs``, ``1,200 epochs``; `many` is the plural where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word that is nearest to a misspelled one, whatever its case.

    Args:
        word: as it was written.
        known: the words that it may be.
        cutoff: the likeness from 0 to 1 (difflib's ratio) below which a word is not near.

    Returns:
        None where no word is near, and where there are too many or too long ones to tell.
    """
    import difflib  # only faults need it

    by_lower = {name.lower(): name for name in known if len(name) <= LONGEST}
    if len(by_lower) > MOST_KNOWN or len(word) > LONGEST:
        return None
    pairs = _pairs(word.lower())
    # a close look takes long where words are made to be alike, so only the closest by their pairs of letters get one
    closest = sorted(by_lower, key=lambda name: len(pairs ^ _pairs(name)))[:_CLOSEST]
    near = difflib.get_close_matches(word.lower(), closest, n=1, cutoff=cutoff)
    return by_lower[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "", cutoff: float = 0.6) -> str:
    """The end of a sentence about an unknown word: ``; did you mean "epochs"?``, or `otherwise`."""
    near = nearest(word, known, cutoff=cutoff)
    return f'; did you mean "{near}"?' if near else otherwise


def _pairs(word: str) -> set[str]:
    return {word[place : place + 2] for place in range(len(word) or 1)}


def place_in_training(epoch: int, step: int) -> str:
    """``epoch 3, step 1,200``; only the step of a run that counts no epochs, whose epoch is 0."""
    return f"step {step:,}" if step and not epoch else f"epoch {epoch}, step {step:,}"
