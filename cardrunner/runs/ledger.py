"""The append-only events of a run: what happened, when, to which attempt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardrunner.clock import utc_now
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.jsonl import append_line, parse_line, read_lines

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


_TAIL = 1 << 16
_OF_THIS_SIDE = frozenset({"created", "submitted", "job", "acknowledged", "finished"})


def latest_events(runs: Path) -> Iterator[tuple[str, str]]:
    """What each run of a folder has recorded last, and when; its ledger is read only at the end.

    What another machine has recorded of a run that lives there says nothing about the clock of this one.

    Raises:
        EnvironmentFailed: a ledger cannot be read.
    """
    for folder in RunFolder.all(runs):
        with explained(folder.ledger, "read"), folder.ledger.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            lines = stream.read().split(b"\n")
        remote = folder.remote_run.exists()
        events = (event for line in reversed(lines) if line and (event := parse_line(line)))
        own = (event.get("at") for event in events if not remote or event.get("event") in _OF_THIS_SIDE)
        at = next((text for text in own if isinstance(text, str)), None)
        if at is not None:
            yield f"the last event of run {folder.name}", at
