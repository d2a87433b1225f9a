"""The tracker: a line of a csv file for each row of the history, also after a resume."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

from cardrunner.contracts import Tracked, TrackedRun
from cardrunner.runs.history import HistoryRow


class CsvTracker:
    """Appends to one file in every attempt."""

    def open(self, facts: TrackedRun) -> Tracked:
        """Go on with the file of the attempt before."""
        path = facts.folder / facts.settings.file
        self._digits = facts.settings.digits
        self._stream = path.open("a", newline="")
        self._rows = csv.writer(self._stream)
        return Tracked(facts.run, str(path), "offline")

    def log(self, row: HistoryRow) -> None:
        """One line for each number of the row."""
        for name, value in row.metrics.items():
            self._rows.writerow([row.kind, row.step, name, f"{value:.{self._digits}g}"])
        self._stream.flush()

    def alert(self, title: str, text: str) -> None:
        """Nowhere to put it."""

    def close(self, summary: Mapping[str, Any]) -> None:
        """Close the file."""
        self._stream.close()
