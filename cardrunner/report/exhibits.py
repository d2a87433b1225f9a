"""What the demo shows: the comparisons that the workload recorded."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable
from dataclasses import dataclass

from cardrunner.common.units import format_percent
from cardrunner.contracts import Chart, Exhibit, ExhibitRow
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Table, measured, sentence
from cardrunner.runs.records import DemoRecord


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """An image of the results folder with the charts of an exhibit."""

    file: str
    caption: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True, kw_only=True)
class ShownExhibit:
    """An exhibit as the page shows it."""

    title: str
    answer: str
    sentences: tuple[str, ...]
    table: Table | None
    meanings: tuple[tuple[str, str], ...]
    sheet: Sheet | None


@dataclass(frozen=True, kw_only=True)
class ExhibitFacts:
    """What `exhibits.md.j2` shows."""

    exhibits: tuple[ShownExhibit, ...]
    missing: str
    folder: str
    plots_possible: bool


def exhibit_facts(run: RecordedRun) -> ExhibitFacts:
    """Collect what the section "What the demo shows" shows."""
    exhibits = run.demo.exhibits if run.demo else ()
    images = {sheet.file: sheet for sheet in sheets(run)}
    return ExhibitFacts(
        exhibits=tuple(_shown(exhibit, images.get(_file(number))) for number, exhibit in enumerate(exhibits, start=1)),
        missing=_missing(run),
        folder=run.folder.results_folder.name,
        plots_possible=importlib.util.find_spec("matplotlib") is not None,
    )


def sheets(run: RecordedRun) -> tuple[Sheet, ...]:
    """The images of all exhibits that have charts."""
    exhibits = run.demo.exhibits if run.demo else ()
    found = (
        Sheet(file=_file(number), caption=exhibit.title, charts=tuple(_drawable(exhibit.charts)))
        for number, exhibit in enumerate(exhibits, start=1)
    )
    return tuple(sheet for sheet in found if sheet.charts)


def _file(number: int) -> str:
    return f"demo-{number}.png"


def _missing(run: RecordedRun) -> str:
    return "The demo made no comparison." if run.demo else sentence(run.lacks(DemoRecord))


def _drawable(charts: Iterable[Chart]) -> Iterable[Chart]:
    return (
        chart
        for chart in charts
        if chart.places and chart.series and all(map(math.isfinite, (v for each in chart.series for v in each.values)))
    )


def _shown(exhibit: Exhibit, sheet: Sheet | None) -> ShownExhibit:
    answer, *more = exhibit.sentences or ("",)
    return ShownExhibit(
        title=exhibit.title,
        answer=answer,
        sentences=tuple(more),
        table=_table(exhibit) if exhibit.readings else None,
        meanings=tuple((reading.name, reading.meaning) for reading in exhibit.readings if reading.meaning),
        sheet=sheet,
    )


def _table(exhibit: Exhibit) -> Table:
    rows = tuple(
        (_name(reading), *(_value(value, reading) for value in reading.values)) for reading in exhibit.readings
    )
    return Table(("Measure", *exhibit.columns), "l" + "r" * len(exhibit.columns), rows)


def _name(reading: ExhibitRow) -> str:
    return f"{reading.name} ({reading.unit})" if reading.unit else reading.name


def _value(value: float | None, reading: ExhibitRow) -> Cell:
    if value is not None and reading.percent and math.isfinite(value):
        return format_percent(value, decimals=1)
    return measured(value)
