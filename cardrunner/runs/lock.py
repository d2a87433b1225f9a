"""Locks that vanish with the process that holds them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardrunner.runs.files import explained


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for whoever has it.

    Args:
        path: a file that is nothing but the lock; made when absent.

    Raises:
        EnvironmentFailed: it cannot be made.
    """
    with explained(path, "write"):
        stream = path.open("ab")
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """Whether some process holds it now."""
    if not path.exists():
        return False
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
