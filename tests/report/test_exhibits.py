"""What a workload compared in its demo, in the results card."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.contracts import Chart, Exhibit, ExhibitRow, Series, WorkloadSpec
from cardrunner.report import render_report
from cardrunner.report.plots import draw_charts
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import DemoRecord, read_json, read_record, with_checksum, write_record

Show = Callable[[RunFolder], Any]
SECTION = "What the demo shows"


def chart(kind: Any = "steps", places: int = 5, *, name: str = "speeds", series: int = 2) -> Chart:
    names = tuple(f"place {number}" if kind == "bars" else str(number) for number in range(places))
    rows = tuple(Series(name=f"row {row}", values=tuple(0.1 * (row + 1) for _ in names)) for row in range(series))
    return Chart(title=name, unit="share", kind=kind, places=names, series=rows, percent=True)


SPEEDS = Exhibit(
    title="Is it as fast?",
    sentences=("It is 3 | 4 as fast.", "Measured on *one* road."),
    columns=("ours", "theirs"),
    readings=(
        ExhibitRow(name="speed", unit="km/h", values=(41.23456, None), meaning="over ground"),
        ExhibitRow(name="stops", values=(0.125, float("nan")), percent=True),
    ),
    charts=(chart(), chart("bars", 4, name="stops"), chart("bars", 12, name="lying")),
)


@pytest.fixture
def shown_run(finished_run: RunFolder) -> Callable[..., RunFolder]:
    """A finished run whose demo left these exhibits."""

    def make(*exhibits: Exhibit) -> RunFolder:
        record = read_record(finished_run.record("demo"), DemoRecord)
        write_record(finished_run.record("demo"), record.model_copy(update={"exhibits": exhibits}))
        return finished_run

    return make


def test_sentences_and_readings_are_shown_as_recorded(shown_run: Callable[..., RunFolder], page: Show) -> None:
    shown = page(shown_run(SPEEDS))
    assert "### Is it as fast?\n\nIt is 3 \\| 4 as fast.\n\nMeasured on \\*one\\* road." in shown.section(SECTION)
    assert shown.rows(SECTION) == [
        ["Measure", "ours", "theirs"],
        ["---", "---:", "---:"],
        ["speed (km/h)", "41.23", "–"],
        ["stops", "12.5%", "NaN"],
    ]
    assert "- speed: over ground" in shown.section(SECTION)


def test_its_charts_become_an_image(
    shown_run: Callable[..., RunFolder], resolve: Callable[[str], WorkloadSpec]
) -> None:
    folder = shown_run(replace(SPEEDS, charts=()), SPEEDS)
    text = render_report(folder, resolve=resolve, stages=registry.stages_of).read_text()
    assert "![Is it as fast?](results/demo-2.png)" in text
    assert not (folder.results_folder / "demo-1.png").exists()
    data = (folder.results_folder / "demo-2.png").read_bytes()
    assert struct.unpack(">I", data[16:20]) == (1200,)
    assert draw_charts(SPEEDS.charts) == data


def test_a_demo_that_compared_nothing_says_so(finished_run: RunFolder, page: Show) -> None:
    assert "The demo made no comparison." in page(finished_run).section(SECTION)


def test_a_demo_that_never_was_says_why(failed_at_load: RunFolder, page: Show) -> None:
    assert "Not recorded: the run ended before the demo stage." in page(failed_at_load).section(SECTION)


def test_a_record_from_before_there_were_exhibits_is_still_read(finished_run: RunFolder, page: Show) -> None:
    path = finished_run.record("demo")
    content = read_json(path)
    del content["exhibits"]
    path.write_text(with_checksum(content))
    assert "The demo made no comparison." in page(finished_run).section(SECTION)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda exhibit: exhibit["readings"][0].update(values=[1.0]),
        lambda exhibit: exhibit["charts"][0]["places"].pop(),
        lambda exhibit: exhibit["charts"][0].update(kind="pie"),
        lambda exhibit: exhibit.update(sentences=3),
    ],
)
def test_a_record_that_contradicts_itself_is_named_and_the_rest_is_shown(
    shown_run: Callable[..., RunFolder], page: Show, spoil: Callable[[Any], object]
) -> None:
    folder = shown_run(SPEEDS)
    content = read_json(folder.record("demo"))
    spoil(content["exhibits"][0])
    folder.record("demo").write_text(with_checksum(content))
    shown = page(folder)
    assert "Not readable: stages/demo.json is damaged." in shown.section(SECTION)
    assert "✗ stages/demo.json: stages/demo.json is not a readable DemoRecord" in shown.text


def test_numbers_that_are_none_are_not_drawn(shown_run: Callable[..., RunFolder], page: Show) -> None:
    broken = Chart(title="x", unit="", kind="steps", places=("a",), series=(Series(name="s", values=(float("inf"),)),))
    empty = Chart(title="x", unit="", kind="bars", places=(), series=())
    assert "demo-1.png" not in page(shown_run(replace(SPEEDS, charts=(broken, empty)))).text


@pytest.mark.parametrize(
    "charts",
    [
        [chart()],
        [chart("bars", 1, series=1)],
        [chart("bars", 40, series=7), chart(), chart(places=60), chart("bars", 3)],
        [chart(name="a long title that goes on and on " * 3)],
        [chart("bars", 2, name="$x_1$ \\frac \n two lines")],
    ],
)
def test_charts_of_any_shape_are_drawn(charts: list[Chart]) -> None:
    assert draw_charts(charts)[:8] == b"\x89PNG\r\n\x1a\n"
