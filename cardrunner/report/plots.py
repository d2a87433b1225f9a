"""Draws figures with matplotlib, which is imported only here and only when something is drawn."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cardrunner.contracts import Chart, Series
from cardrunner.report.curves import CurveLine, Figure, Level, LevelKind, LineKind, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas


# Okabe and Ito's palette, which colour-blind readers can tell apart; line styles repeat the distinction.
_LINES: dict[LineKind, dict[str, Any]] = {
    "validation": {"color": "#0072B2", "linewidth": 2.0, "marker": "o", "markersize": 4.5, "zorder": 4},
    "training": {
        "color": "#E69F00",
        "linewidth": 1.6,
        "marker": "s",
        "markersize": 3.5,
        "linestyle": "--",
        "zorder": 3,
    },
    "detail": {"color": "#E69F00", "linewidth": 1.0, "alpha": 0.45, "zorder": 2},
    "plain": {"color": "#0072B2", "linewidth": 1.6, "zorder": 3},
}
_LEVELS: dict[LevelKind, dict[str, Any]] = {
    "target": {"color": "#007A5A", "linestyle": "-"},
    "limit": {"color": "#C44E00", "linestyle": "-."},
    "trivial": {"color": "#5A5A5A", "linestyle": ":"},
}
_MARK: dict[str, Any] = {
    "marker": "o",
    "markersize": 10,
    "markerfacecolor": "none",
    "markeredgecolor": "#0072B2",
    "linestyle": "none",
}
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8A8A8A",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.7,
    "xtick.color": "#4A4A4A",
    "ytick.color": "#4A4A4A",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "text.parse_math": False,
}
_DPI = 150
LEGEND_HEIGHT = 0.35
_WIDTH, _ROW_HEIGHT = 8.0, 2.7
_LABEL_GAP, _HIGHEST_LABEL = 0.085, 0.97
_MANY_POINTS = 60


def draw(figure: Figure) -> bytes:
    """A figure as a PNG 1200 pixels wide; the same figure gives the same bytes."""
    columns = min(2, len(figure.panels))
    rows = math.ceil(len(figure.panels) / columns)
    last = max(x for panel in figure.panels for line in panel.lines for x, _ in line.points)

    def paint(canvas: Canvas) -> None:
        for number, panel in enumerate(figure.panels, start=1):
            _draw_panel(canvas.add_subplot(rows, columns, number), panel, last)
        legend(canvas)

    return picture(_ROW_HEIGHT * rows * (1.25 if rows == 1 else 1) + LEGEND_HEIGHT, paint)


def picture(height: float, paint: Callable[[Canvas], None]) -> bytes:
    """A PNG 1200 pixels wide, in the page's style.

    Args:
        height: in inches, at 150 pixels per inch.
        paint: draws on the empty canvas.
    """
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]
        canvas = Canvas(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")
        paint(canvas)
        return rendered(canvas)


def rendered(canvas: Canvas) -> bytes:
    """A painted canvas as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    # `savefig` would draw everything a second time for the layout
    FigureCanvasAgg(canvas).print_png(stream, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return stream.getvalue()


def _draw_panel(axes: Axes, panel: Panel, last: float) -> None:
    for line in panel.lines:
        _draw_line(axes, line)
    if panel.mark:
        axes.plot(*panel.mark, label="best checkpoint", zorder=5, clip_on=False, **_MARK)
    low, high = _range(panel)
    axes.set_ylim(low, high)
    axes.set_xlim(0, last * 1.02)
    for level in panel.levels:
        if low <= level.value <= high:
            axes.axhline(level.value, linewidth=1.3, zorder=1, **_LEVELS[level.kind])
    if panel.levels:
        _label_levels(axes, panel.levels, low, high)
    _label_axes(axes, panel)


def _draw_line(axes: Axes, line: CurveLine) -> None:
    style = dict(_LINES[line.kind])
    if len(line.points) > _MANY_POINTS:
        style.pop("marker", None)
    if len(line.points) == 1:
        style.setdefault("marker", "o")
    label = line.label if line.kind != "plain" else "_"
    axes.plot([x for x, _ in line.points], [y for _, y in line.points], label=label, **style)


def _range(panel: Panel) -> tuple[float, float]:
    """The vertical range: every curve, and the levels near enough to leave the curves readable."""
    values = [y for line in panel.lines for _, y in line.points]
    low, high = min(values), max(values)
    if panel.from_zero and low >= 0:
        return 0.0, high * 1.08 or 1.0
    reach = max(high - low, abs(high) * 0.05, 1e-12)
    for level in sorted(panel.levels, key=lambda level: abs(level.value - (low + high) / 2)):
        if low - reach <= level.value <= high + reach:
            low, high = min(low, level.value), max(high, level.value)
    margin = max(high - low, abs(high) * 0.02, 1e-12) * 0.07
    return low - margin, high + margin


def _label_levels(axes: Axes, levels: tuple[Level, ...], low: float, high: float) -> None:
    """Names beside the right end of each level, pushed apart; with value and arrow where it lies off the scale."""
    ordered = sorted(levels, key=lambda level: level.value)
    places = _spread([min(max((level.value - low) / (high - low), 0.0), 1.0) for level in ordered])
    for level, place in zip(ordered, places, strict=True):
        arrow = " ↑" if level.value > high else " ↓" if level.value < low else ""
        text = level.name if level.kind == "trivial" and not arrow else f"{level.name} {level.text}{arrow}"
        color = _LEVELS[level.kind]["color"]
        axes.text(1.02, place, text, transform=axes.transAxes, color=color, fontsize=8, va="center")


def _spread(places: list[float]) -> list[float]:
    """Ascending places between 0 and 1, moved just far enough to leave a line of text between neighbours."""
    upward = list(itertools.accumulate(places, lambda before, place: max(place, before + _LABEL_GAP)))
    from_the_top = [min(upward[-1], _HIGHEST_LABEL), *upward[-2::-1]]
    return list(itertools.accumulate(from_the_top, lambda above, place: min(place, above - _LABEL_GAP)))[::-1]


def _label_axes(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title(panel.title)
    axes.set_xlabel(panel.along)
    axes.set_ylabel(f"{panel.unit} (%)" if panel.percent else panel.unit)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    if panel.percent:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g}"))


def legend(canvas: Canvas) -> None:
    """One legend for all panels, with each kind of line once."""
    found = [pair for axes in canvas.axes for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    unique = {label: handle for handle, label in found}
    if unique:
        canvas.legend(list(unique.values()), list(unique), loc="outside upper left", ncols=len(unique))


# As in `plots`: colours that colour-blind readers can tell apart, with hatches and dashes that repeat the distinction.
_COLORS = ("#0072B2", "#7FB8DA", "#D55E00", "#8A8A8A", "#009E73", "#5A5A5A")
_HATCHES = ("", "//", "xx", "..", "\\\\", "++")
_DASHES = ("-", (0, (5, 1.5)), "-.", ":", (0, (1, 1)), (0, (3, 1, 1, 1)))
_MOST_PLACES_ACROSS = 9
_LONGEST_WORD = 26
_STEPS_HEIGHT = 2.3
_PLACE_HEIGHT = 0.29
_MOST_TICKS = 9


def draw_charts(charts: Sequence[Chart]) -> bytes:
    """Charts as one PNG 1200 pixels wide; the same charts give the same bytes.

    Charts with many or long names become horizontal bars of full width; all others stand two to a row.
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
    """For each series: the positions of its bars, their thickness, the series and its style."""
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
