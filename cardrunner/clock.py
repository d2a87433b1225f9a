"""UTC times as the run folder writes them: ISO 8601, milliseconds, Z."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Now, such as ``2026-02-26T09:30:00.125Z``."""
    return utc_text(datetime.now(UTC).timestamp())


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_seconds(text: str) -> float:
    """Seconds since 1970 of such a text.

    Raises:
        ValueError: it is not an ISO 8601 time.
    """
    return datetime.fromisoformat(text).timestamp()
