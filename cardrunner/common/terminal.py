"""Whether somebody can be asked."""

from __future__ import annotations

import sys


def at_terminal() -> bool:
    """Whether the standard input is a terminal, so that a question can be answered."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def sign_remark() -> str:
    """What stands behind a printed `cardrunner sign` where it could not ask; empty at a terminal."""
    return "" if at_terminal() else "   # without a terminal add --yes, once the card is read"
