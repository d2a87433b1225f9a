"""The exact bytes that a reviewer's key signs."""

from __future__ import annotations

import rfc8785

from cardrunner.card.schema.sign_off import Signature

DOMAIN = b"cardrunner sign-off 1\0"
"""Keeps a sign-off apart from anything else the same key may sign in this namespace."""


def statement_bytes(signature: Signature, *, run: str, reviewer: str, card_format: int) -> bytes:
    """A reviewer's statement in its only form: the domain, then canonical JSON (RFC 8785).

    Who ticked a condition later (`met`) is not part of it.

    Args:
        run: the card's name, so that an approval cannot be copied to another run.
        reviewer: the reviewer's id.
        card_format: the number after ``card:``.
    """
    return DOMAIN + rfc8785.dumps(
        {
            "at": signature.at,
            "card": card_format,
            "conditions": list(signature.conditions),
            "digest": signature.digest,
            "note": signature.note,
            "reviewer": reviewer,
            "run": run,
            "verdict": signature.verdict,
        }
    )
