"""The figures of a run as plain data, and the table of its epochs."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cardrunner.common.text import listed
from cardrunner.common.units import format_duration
from cardrunner.contracts import MetricSpec
from cardrunner.kill_rules import Rule
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.scores import comparisons
from cardrunner.report.table import Table, measured, rate, sentence, stated, table
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.records import TrainRecord

MOST_PANELS = 8
_MOST_COLUMNS = 8
LineKind = Literal["validation", "training", "detail", "plain"]
LevelKind = Literal["target", "limit", "trivial"]


@dataclass(frozen=True, kw_only=True)
class CurveLine:
    """A curve as (epoch, value) points, all of them finite."""

    kind: LineKind
    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Level:
    """A horizontal reference line."""

    kind: LevelKind
    name: str
    value: float
    text: str
    """The value, formatted for display."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes."""

    title: str
    unit: str
    lines: tuple[CurveLine, ...]
    levels: tuple[Level, ...] = ()
    percent: bool = False
    mark: tuple[float, float] | None = None
    """The best checkpoint."""
    from_zero: bool = False
    along: str = "epoch"
    """What the horizontal axis counts."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An image of the results folder."""

    file: str
    caption: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class CurveFacts:
    """What `curves.md.j2` shows."""

    figures: tuple[Figure, ...]
    folder: str
    plots_possible: bool
    epochs: Table | None
    reported: bool
    missing: str


def curve_facts(run: RecordedRun) -> CurveFacts:
    """Collect what the section "Curves" shows."""
    return CurveFacts(
        figures=figures(run),
        folder=run.folder.results_folder.name,
        plots_possible=importlib.util.find_spec("matplotlib") is not None,
        epochs=(_reports(run) if run.reported else _epochs(run)) if run.validation_rows else None,
        reported=run.reported,
        missing=sentence(run.lacks(TrainRecord)),
    )


def figures(run: RecordedRun) -> tuple[Figure, ...]:
    """Every figure that the history has points for."""
    if run.reported:
        return _figures_of_reports(run)
    loss, others = _loss(run), _chosen(run)
    wanted = (
        Figure(
            file="loss.png",
            caption=f"Loss ({loss.name}) in training and validation",
            panels=_some([_metric_panel(run, loss, detailed=True)]),
        ),
        Figure(
            file="metrics.png",
            caption="Metrics in training and validation, with targets, kill thresholds and trivial baselines",
            panels=_some(_metric_panel(run, spec) for spec in others),
        ),
        Figure(
            file="training.png",
            caption="Learning rate and throughput",
            panels=_some([_learning_rate(run), _throughput(run)]),
        ),
    )
    return tuple(figure for figure in wanted if figure.panels)


def _figures_of_reports(run: RecordedRun) -> tuple[Figure, ...]:
    """One figure with the metrics of a script, those of targets and rules first."""
    specs = list({spec.name: spec for spec in (*_asked(run), *run.loaded.spec.metrics)}.values())[:MOST_PANELS]
    caption = "Metrics as the script reported them, with targets and kill thresholds"
    panels = _some(_reported_panel(run, spec) for spec in specs)
    return (Figure(file="metrics.png", caption=caption, panels=panels),) if panels else ()


def _reported_panel(run: RecordedRun, spec: MetricSpec) -> Panel:
    panel = _metric_panel(run, spec, detailed=True)
    labels = {"detail": "reported in training", "validation": "reported in validation"}
    lines = tuple(replace(line, label=labels.get(line.kind, line.label)) for line in panel.lines)
    title = f"val_{spec.name}" if spec.validation_only else spec.name
    mark = panel.mark if run.best is not None else None
    return replace(panel, title=title, lines=lines, mark=mark, along="step")


def _some(panels: Iterable[Panel]) -> tuple[Panel, ...]:
    return tuple(panel for panel in panels if any(line.points for line in panel.lines))


def _loss(run: RecordedRun) -> MetricSpec:
    metrics = run.loaded.spec.metrics
    return next((spec for spec in metrics if spec.name.startswith("loss")), metrics[0])


def _chosen(run: RecordedRun) -> list[MetricSpec]:
    """The metrics named by targets and kill thresholds, then those on which predictors differ; the loss excluded."""
    specs = [*_asked(run), *run.loaded.spec.metrics]
    shared = {found.spec.name for found in comparisons(run) if not found.winners}
    unique = {spec.name: spec for spec in specs if not spec.name.startswith("loss") and spec.name not in shared}
    return list(unique.values())[:MOST_PANELS]


def _asked(run: RecordedRun) -> Iterator[MetricSpec]:
    """The metrics named by targets, then those named by kill thresholds."""
    for name in (*(target.metric for target in run.card.targets), *(rule.watches for _, rule in _levelled(run))):
        if name and (spec := run.spec(name)) is not None:
            yield spec


def _metric_panel(run: RecordedRun, spec: MetricSpec, *, detailed: bool = False) -> Panel:
    name, best = f"val_{spec.name}", run.best_row
    value = run.value(name, best)
    lines = [
        CurveLine(kind="training", label="training, mean of the epoch", points=_points(run, spec.name, "validation")),
        CurveLine(kind="validation", label="validation, after the epoch", points=_points(run, name, "validation")),
    ]
    if detailed:
        lines.insert(0, CurveLine(kind="detail", label="training, as it went", points=_points(run, spec.name, "train")))
    return Panel(
        title=spec.name,
        unit=spec.unit,
        lines=tuple(line for line in lines if line.points),
        levels=tuple(_levels(run, spec)),
        percent=spec.percent,
        mark=(_place(run, best), value) if best and value is not None and math.isfinite(value) else None,
    )


def _levels(run: RecordedRun, spec: MetricSpec) -> Iterable[Level]:
    name = f"val_{spec.name}"
    for target in run.card.targets:
        if run.names.canonical(target.metric) == name:
            yield Level(kind="target", name="target", value=target.limit, text=stated(target.limit, spec) or "")
    for value, rule in _levelled(run):
        if run.names.canonical(rule.watches or "") == name:
            yield Level(kind="limit", name=rule.action, value=value, text=stated(value, spec) or "")
    shared: dict[float, list[str]] = {}
    for baseline, scores in run.trivial.items():
        if math.isfinite(value := scores.get(name, math.nan)):
            shared.setdefault(value, []).append(baseline)
    for value, baselines in shared.items():
        yield Level(kind="trivial", name=listed(baselines), value=value, text=measured(value, spec) or "")


def _levelled(run: RecordedRun) -> Iterable[tuple[float, Rule]]:
    """The horizontal lines of kill thresholds: the value of each, with its rule."""
    for number, rule in enumerate(run.card.kill_thresholds):
        seen = [found for moment in run.moments if (found := moment.seen[number])]
        yield from ((value, rule) for value in rule.plot_levels(seen) if math.isfinite(value))


def _learning_rate(run: RecordedRun) -> Panel:
    points = _finite((_place(run, row), row.learning_rate) for row in run.rows)
    return Panel(
        title="learning rate",
        unit="learning rate",
        lines=(CurveLine(kind="plain", label="", points=points),),
        from_zero=True,
    )


def _throughput(run: RecordedRun) -> Panel:
    points = _finite((_place(run, row), row.clock.examples_per_second) for row in run.rows if row.kind == "train")
    points = points or _finite((_place(run, row), row.clock.examples_per_second) for row in run.validation_rows)
    return Panel(
        title="throughput", unit="examples/s", lines=(CurveLine(kind="plain", label="", points=points),), from_zero=True
    )


def _points(run: RecordedRun, name: str, kind: str) -> tuple[tuple[float, float], ...]:
    return _finite((_place(run, row), row.metrics.get(name)) for row in run.rows if row.kind == kind)


def _finite(points: Iterable[tuple[float, float | None]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in points if y is not None and math.isfinite(y))


def _place(run: RecordedRun, row: HistoryRow) -> float:
    """A row's position on the epoch axis; a validation is at its whole epoch. Rows of a script are at their step."""
    if run.reported:
        return float(row.step)
    if row.kind == "validation":
        return float(row.epoch)
    first = run.validation_rows[0] if run.validation_rows else None
    per_epoch = first.examples / first.epoch if first else run.load.train_examples if run.load else 0
    return row.examples / per_epoch if per_epoch else float(row.epoch)


def _reports(run: RecordedRun) -> Table:
    """The validations that a script reported."""
    names = list(dict.fromkeys(name for row in run.validation_rows for name in row.metrics))[:_MOST_COLUMNS]
    columns = ("Step", *names, "Time since the start", "")
    rows = [
        (
            f"{row.step:,}",
            *(measured(row.metrics.get(name), run.spec(name)) for name in names),
            None if row.clock.total_seconds is None else format_duration(round(row.clock.total_seconds)),
            "best" if run.best is not None and run.best_row is row else "",
        )
        for row in run.validation_rows
    ]
    return table(columns, f"r{'r' * len(names)}rl", rows)


def _epochs(run: RecordedRun) -> Table:
    loss = _loss(run)
    before: Sequence[HistoryRow | None] = (None, *run.validation_rows)
    columns = (
        "Epoch",
        f"Training {loss.name}",
        f"Validation {loss.name}",
        "Learning rate",
        "Epoch time",
        "Examples/s",
        "",
    )
    rows = [
        (
            str(row.epoch),
            measured(row.metrics.get(loss.name), loss),
            measured(row.metrics.get(f"val_{loss.name}"), loss),
            None if row.learning_rate is None else f"{row.learning_rate:.3g}",
            format_duration(row.clock.epoch_seconds) if row.clock.epoch_seconds is not None else None,
            rate(_examples_per_second(row, earlier)),
            "best" if run.best_row is row else "",
        )
        for row, earlier in zip(run.validation_rows, before, strict=False)
    ]
    return table(columns, "rrrrrrl", rows)


def _examples_per_second(row: HistoryRow, earlier: HistoryRow | None) -> float | None:
    """The epoch's training examples per second of training; None unless one training, uninterrupted, did all of it.

    `Clock.train_seconds` begins anew in each attempt, and with each restart inside one. `Clock.trained_seconds` goes
    on, and what it gains in an epoch of known duration was measured by the process that trained the epoch.
    """
    before = earlier.clock.trained_seconds if earlier else 0.0
    if row.clock.epoch_seconds is None or row.clock.trained_seconds is None or before is None:
        return None
    examples, seconds = row.examples - (earlier.examples if earlier else 0), row.clock.trained_seconds - before
    return examples / seconds if seconds > 0 else None
