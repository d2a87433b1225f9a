"""The mark of fields that `card: 1` got after cards of it were signed."""

from __future__ import annotations


class Later:
    """Marks a field that `card: 1` got after cards of it were signed.

    Such a field is part of the signed content only where it says something else than its default, so that a card that
    was signed before keeps its digest, and means what it meant.
    """


LATER = Later()
