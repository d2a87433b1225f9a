"""What several tests of readers use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from cardrunner.workloads.command.reports.base import Reading, Source

REAL = Path(__file__).parent / "real"


def all_of(source: Source, *, ended: bool = True) -> list[Reading]:
    """Everything that a source has now."""
    found: list[Reading] = []
    while more := list(source.new(ended=ended)):
        found += more
    return found


def triples(readings: Iterable[Reading]) -> list[tuple[int, str, float | str]]:
    """Step, name and value of each value; NaN as text, so that it equals itself."""
    return [
        (reading.step, name, "nan" if math.isnan(value) else value)
        for reading in readings
        for name, value in reading.values.items()
    ]
