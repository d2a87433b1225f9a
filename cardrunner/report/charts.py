"""Draws charts over named places with matplotlib: bars side by side, and steps for histograms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cardrunner.contracts import Chart, Series
from cardrunner.report.plots import LEGEND_HEIGHT, legend, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# As in `plots`: colours that colour-blind readers can tell apart, and hatches and dashes that say the same again.
_COLORS = ("#0072B2", "#7FB8DA", "#D55E00", "#8A8A8A", "#009E73", "#5A5A5A")
_HATCHES = ("", "//", "xx", "..", "\\\\", "++")
_DASHES = ("-", (0, (5, 1.5)), "-.", ":", (0, (1, 1)), (0, (3, 1, 1, 1)))
_MOST_PLACES_ACROSS = 9
_LONGEST_WORD = 26
_STEPS_HEIGHT = 2.3
_PLACE_HEIGHT = 0.29
_MOST_TICKS = 9


def draw_charts(charts: Sequence[Chart]) -> bytes:
    """Charts as one PNG of 1200 pixels width; the same charts give the same bytes.

    Bars with many or long names lie across the whole width, one below the other; everything else stands two a row.
    """
    rows = _rows(charts)
    heights = [max(map(_height, row)) for row in rows]

    def paint(canvas: Canvas) -> None:
        grid = canvas.add_gridspec(len(rows), 2, height_ratios=heights)
        for number, row in enumerate(rows):
            for place, chart in enumerate(row):
                axes = canvas.add_subplot(grid[number, :] if _wide(chart) else grid[number, place])
                (_lying_bars if _wide(chart) else _bars if chart.kind == "bars" else _steps)(axes, chart)
                axes.set_title(chart.title)
        legend(canvas)

    return picture(sum(heights) + LEGEND_HEIGHT, paint)


def _rows(charts: Sequence[Chart]) -> list[list[Chart]]:
    rows: list[list[Chart]] = []
    for chart in charts:
        alone = not rows or _wide(chart) or _wide(rows[-1][-1]) or len(rows[-1]) == 2
        rows.append([chart]) if alone else rows[-1].append(chart)
    return rows


def _wide(chart: Chart) -> bool:
    return chart.kind == "bars" and (len(chart.places) > _MOST_PLACES_ACROSS or any(len(p) > 8 for p in chart.places))


def _height(chart: Chart) -> float:
    return 0.7 + _PLACE_HEIGHT * len(chart.places) * max(1.0, len(chart.series) / 3) if _wide(chart) else _STEPS_HEIGHT


def _lying_bars(axes: Axes, chart: Chart) -> None:
    for place, thickness, series, style in _side_by_side(chart):
        axes.barh(place, series.values, height=thickness, label=series.name, **style)
    axes.set_yticks(range(len(chart.places)), [_short(place) for place in chart.places])
    axes.set_ylim(len(chart.places) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(_unit(chart))
    _percent(axes.xaxis, chart)


def _bars(axes: Axes, chart: Chart) -> None:
    for place, thickness, series, style in _side_by_side(chart):
        axes.bar(place, series.values, width=thickness, label=series.name, **style)
    axes.set_xticks(range(len(chart.places)), [_short(place) for place in chart.places])
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(_unit(chart))
    _percent(axes.yaxis, chart)


def _side_by_side(chart: Chart) -> Iterator[tuple[list[float], float, Series, dict[str, Any]]]:
    """Where the bars of each series stand, how thick they are, and how they look."""
    thickness = 0.8 / len(chart.series)
    for number, series in enumerate(chart.series):
        offset = (number - (len(chart.series) - 1) / 2) * thickness
        color, hatch = _COLORS[number % len(_COLORS)], _HATCHES[number % len(_HATCHES)]
        style = {"color": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0.4}
        yield [place + offset for place in range(len(chart.places))], thickness, series, style


def _steps(axes: Axes, chart: Chart) -> None:
    edges = [place - 0.5 for place in range(len(chart.places) + 1)]
    for number, series in enumerate(chart.series):
        style: dict[str, Any] = {"color": _COLORS[number % len(_COLORS)], "linestyle": _DASHES[number % len(_DASHES)]}
        axes.stairs(series.values, edges, label=series.name, linewidth=1.7, **style)
    every = math.ceil(len(chart.places) / _MOST_TICKS)
    shown = range(0, len(chart.places), every)
    axes.set_xticks(list(shown), [_short(chart.places[place]) for place in shown])
    axes.set_ylim(bottom=0)
    axes.set_ylabel(_unit(chart))
    _percent(axes.yaxis, chart)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_WORD else f"{text[: _LONGEST_WORD - 1]}…"


def _unit(chart: Chart) -> str:
    return f"{chart.unit} (%)" if chart.percent else chart.unit


def _percent(axis: Any, chart: Chart) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6))
    if chart.percent:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g}"))
