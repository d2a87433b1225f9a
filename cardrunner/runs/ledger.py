"""The append-only events of a run: what happened, when, to which attempt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardrunner.runs.clock import utc_now
from cardrunner.runs.jsonl import append_line, read_lines

Event = dict[str, Any]
"""An event: ``at``, ``event``, and the event's own fields."""


@dataclass(frozen=True)
class Ledger:
    """``ledger.jsonl``. Several processes may append; nothing is ever changed."""

    path: Path

    def append(self, event: str, **fields: Any) -> None:
        """Record an event; it is on the disk when this returns.

        Args:
            event: its name, such as ``stage_started``.
            fields: JSON values.

        Raises:
            EnvironmentFailed: the disk is full, read-only or failing.
        """
        append_line(self.path, {"at": utc_now(), "event": event, **fields}, durable=True)

    def events(self, *names: str) -> list[Event]:
        """Every event, oldest first, or those of the given names; a torn line is left out."""
        return [row for row in read_lines(self.path) if not names or row.get("event") in names]

    def last(self, *names: str) -> Event | None:
        """The newest event of these names."""
        return next(reversed(self.events(*names)), None)

    def attempts(self) -> int:
        """How many attempts were started."""
        return len(self.events("attempt_started"))
