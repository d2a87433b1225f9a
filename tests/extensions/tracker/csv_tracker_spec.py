"""What a card says of a csv file. Free of the tracker itself, so that reading a card stays fast."""

from __future__ import annotations

from cardrunner.card.schema.base import Line, PositiveCount, Section
from cardrunner.card.trackers import TrackerSpec


class CsvSettings(Section):
    """Rows of numbers in a csv file of the run folder."""

    file: Line = "history.csv"
    """Its name."""
    digits: PositiveCount = 6
    """Digits of each number."""


class CsvSpec(TrackerSpec):
    """Shown on the review page by the rows that every tracker has."""

    title = "CSV"
    tracker = "csv_tracker:CsvTracker"
    settings = CsvSettings
    needs = ("csv",)

    def place(self, settings: CsvSettings) -> str:
        """The file."""
        return f"in {settings.file} of the run folder"

    def unchecked(self, settings: CsvSettings) -> list[tuple[str, str]]:
        """Whether there is room for it."""
        return [(f"whether {settings.file} can be written", "the run folder does not exist yet")]


SPEC = CsvSpec()
