"""Comparisons that a demo hands to the results card; `cardrunner.contracts` exports all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ExhibitRow:
    """One row of an `Exhibit`: one quantity of each of the things compared."""

    name: str
    values: tuple[float | None, ...]
    """One per column; None for a missing value."""
    unit: str = ""
    percent: bool = False
    """Shown as a percentage."""
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve or one set of bars of a `Chart`."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A plot over named places: ``bars`` for separate things, ``steps`` for an ordered axis, as in a histogram."""

    title: str
    unit: str
    kind: Literal["bars", "steps"]
    places: tuple[str, ...]
    series: tuple[Series, ...]
    """Each has one value per place."""
    percent: bool = False

    def __post_init__(self) -> None:
        if any(len(series.values) != len(self.places) for series in self.series):
            raise ValueError(f"the chart {self.title} has {len(self.places)} places and a series of another length")


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A comparison for the results card: sentences, a table, plots. All values are JSON."""

    title: str
    sentences: tuple[str, ...]
    """What the comparison shows; the first sentence is the answer."""
    columns: tuple[str, ...] = ()
    """The things compared."""
    readings: tuple[ExhibitRow, ...] = ()
    charts: tuple[Chart, ...] = ()

    def __post_init__(self) -> None:
        if any(len(reading.values) != len(self.columns) for reading in self.readings):
            raise ValueError(f"the table {self.title} has {len(self.columns)} columns and a row of another length")
