"""UTC times. A run folder writes them to the millisecond, a card and an approval to the second: ISO 8601 with a Z."""

from __future__ import annotations

from datetime import UTC, date, datetime


def utc_now() -> str:
    """Now, such as ``2026-02-26T09:30:00.125Z``."""
    return utc_text(datetime.now(UTC).timestamp())


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_of_day(text: str) -> str:
    """The time of such a text, such as ``09:30:00.125``."""
    return text[11:].rstrip("Z")


def utc_seconds(text: str) -> float:
    """Seconds since 1970 of such a text.

    Raises:
        ValueError: it is not an ISO 8601 time.
    """
    return datetime.fromisoformat(text).timestamp()


def moment() -> datetime:
    """Now, to the second, with its zone: what the gate judges by."""
    return datetime.now(UTC).replace(microsecond=0)


def today() -> date:
    """The day it is in UTC."""
    return datetime.now(UTC).date()


def timestamp(at: datetime) -> str:
    """``2026-02-26T10:00:00Z``, as cards and approvals write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """Read a time such as `timestamp` writes.

    Raises:
        ValueError: there is no such time, or it has no zone.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("it has no time zone")
    return found
