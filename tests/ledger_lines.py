"""Ledgers as they stand on the disk: lines by name and key, as an older or a later version may have written them."""

from __future__ import annotations

from typing import Any

from cardrunner.common.clock import utc_now
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import parse
from cardrunner.runs.jsonl import append_line, line_of, read_lines
from cardrunner.runs.ledger import Ledger


def record(ledger: Ledger, event: str, /, **fields: Any) -> None:
    """Append the line of an event."""
    append_line(ledger.path, {"at": utc_now(), "event": event, **fields}, durable=False)


def recorded(ledger: Ledger, *names: str) -> list[dict[str, Any]]:
    """Every line, or those of the given events."""
    return [row for row in read_lines(ledger.path) if not names or row["event"] in names]


def made(event: str, /, **fields: Any) -> Event:
    """The event that a line reads as."""
    found = parse(line_of({"event": event, **fields}))
    assert found is not None
    return found
