"""The sections that are tables: time and cost, baselines, targets, kill thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cardrunner.card.checks.metrics import side_of
from cardrunner.card.estimate import Estimate, bill_of, covered_labels, estimate, is_more
from cardrunner.card.load import LoadedCard
from cardrunner.card.page.fields import minutes, money, shown, written
from cardrunner.card.schema.card import Card
from cardrunner.common import units
from cardrunner.specs import MetricNames

_SIGNS = {"below": "<", "above": ">"}


@dataclass(frozen=True)
class PageTable:
    """A table of the review page: the headings, and rows of the same length."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def timing(loaded: LoadedCard) -> PageTable:
    """Time and cost at each calibration: stated figures as stated, with computed ones below."""
    columns, stated = estimate(loaded.card), loaded.card.timing.stated
    rows = [
        *_epoch_times(loaded, columns),
        [_training_label(loaded.card), *_stated(loaded, "training", columns, units.format_duration)],
        ["Data load", *_figures(loaded, "data_load", [units.format_duration(column.load) for column in columns])],
        ["Total wall", *_stated(loaded, "total", columns, units.format_duration)],
        ["Cost", *_stated(loaded, "cost", columns, money)],
    ]
    if stated.total:
        rows.append(["Total wall, computed", *(units.format_duration(column.total) for column in columns)])
    if stated.cost:
        rows.append(["Cost, computed", *(money(column.cost) for column in columns)])
    bills = [bill_of(loaded.card, column.total) for column in columns]
    if any(is_more(billed, column.cost) for billed, column in zip(bills, columns, strict=True)):
        rows.append(["Whole bill, with CPU and memory", *map(money, bills)])
    return PageTable(["", *(_calibration(column) for column in columns)], rows)


def timeout(loaded: LoadedCard) -> str | None:
    """What the timeout covers, as a sentence."""
    infra, columns = loaded.card.infra, estimate(loaded.card)
    if infra.timeout is None:
        return None
    limit = f"{infra.timeout:g}s ({units.format_duration(infra.timeout)})"
    covers = f"covers {covered_labels(columns) or 'no calibration'}."
    longer = (column for column in columns if not column.covered)
    takes = "; ".join(
        f"{column.label} takes {units.format_duration(column.total)} and would need a resume" for column in longer
    )
    return f"{infra.platform.capitalize()} timeout: {limit}, {covers}" + (f" {takes}." if takes else "")


def baselines(loaded: LoadedCard) -> PageTable:
    """Earlier runs, with one column for each fact and metric that any of them states."""
    listed = loaded.card.baselines
    facts = list(dict.fromkeys(name for baseline in listed for name in baseline.facts))
    metrics = list(dict.fromkeys(name for baseline in listed for name in baseline.metrics))
    rows = []
    for index, baseline in enumerate(listed):
        told = [shown(baseline.facts.get(name, "")) for name in facts]
        reached = [_baseline_value(loaded, index, name) if name in baseline.metrics else "" for name in metrics]
        rows.append([baseline.run, *told, *reached, "; ".join(baseline.notes)])
    return PageTable(["Run", *(name.capitalize() for name in facts), *metrics, "Notes"], rows)


def targets(loaded: LoadedCard) -> PageTable:
    """Each target beside the baseline it names."""
    rows = []
    for index, target in enumerate(loaded.card.targets):
        side = side_of(target)
        limit = written(loaded, ("targets", index, side), f"{target.limit:g}")
        reached = _reached(loaded, target.baseline, target.metric)
        rows.append([target.metric, reached, f"{_SIGNS[side]} {limit}", target.tier or "", "; ".join(target.notes)])
    return _without_empty(PageTable(["Metric", "Baseline", "Target", "Tier", "Notes"], rows), "Tier")


def kill_thresholds(loaded: LoadedCard) -> PageTable:
    """Each rule: its condition and its action."""
    rules = enumerate(loaded.card.kill_thresholds)
    limits = ((rule, written(loaded, ("kill_thresholds", index, rule.key), "")) for index, rule in rules)
    return PageTable(["Condition", "Action"], [rule.page_row(limit) for rule, limit in limits])


def _without_empty(table: PageTable, name: str) -> PageTable:
    """The table without the named column if that column is empty."""
    place = table.head.index(name)
    if any(row[place] for row in table.rows):
        return table
    head, *rows = ([*row[:place], *row[place + 1 :]] for row in (table.head, *table.rows))
    return PageTable(head, rows)


def _training_label(card: Card) -> str:
    epochs = card.training.planned_epochs
    return "Training" if epochs is None else f"Training ({epochs} ep)"


def _epoch_times(loaded: LoadedCard, columns: Sequence[Estimate]) -> list[list[str]]:
    """The time of an epoch, where epochs are what the card estimates."""
    if loaded.card.timing.epoch is None:
        return []
    return [["Epoch time", *_figures(loaded, "epoch", [minutes(column.epoch) for column in columns])]]


def _figures(loaded: LoadedCard, name: str, computed: Sequence[str]) -> list[str]:
    return [written(loaded, ("timing", name, index), text) for index, text in enumerate(computed)]


def _stated(loaded: LoadedCard, name: str, columns: Sequence[Estimate], word: Callable[[float], str]) -> list[str]:
    stated = getattr(loaded.card.timing.stated, name) or ()
    values = [*stated, *(getattr(column, name) for column in columns[len(stated) :])]
    return [written(loaded, ("timing", "stated", name, index), word(value)) for index, value in enumerate(values)]


def _calibration(column: Estimate) -> str:
    return "Optimistic" if column.factor == 1 else f"{column.label} calibrated"


def _baseline_value(loaded: LoadedCard, index: int, name: str) -> str:
    value = loaded.card.baselines[index].metrics[name]
    spec = MetricNames(loaded.spec.metrics).spec(name)
    word = spec.written(value) if spec else f"{value:g}"
    return written(loaded, ("baselines", index, "metrics", name), word)


def _reached(loaded: LoadedCard, run: str | None, metric: str) -> str:
    """The value of a baseline in a metric, under any of its aliases."""
    same = MetricNames(loaded.spec.metrics).canonical
    for index, baseline in enumerate(loaded.card.baselines):
        for name in baseline.metrics if baseline.run == run else ():
            if same(name) == same(metric):
                return f"{_baseline_value(loaded, index, name)} ({run})"
    return run or ""
