"""The latest moment that each run has recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.jsonl import parse_line

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
        far = folder.elsewhere.exists()
        events = (event for line in reversed(lines) if line and (event := parse_line(line)))
        own = (event.get("at") for event in events if not far or event.get("event") in _OF_THIS_SIDE)
        at = next((text for text in own if isinstance(text, str)), None)
        if at is not None:
            yield f"the last event of run {folder.name}", at
