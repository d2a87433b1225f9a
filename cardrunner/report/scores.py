"""Metrics of the model beside the trivial baselines, and which is best."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cardrunner.common.text import listed
from cardrunner.contracts import MetricSpec
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, count, measured, sentence
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.records import TrainRecord

MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class MetricComparison:
    """A metric of the best checkpoint beside the trivial baselines."""

    spec: MetricSpec
    model: float
    trivial: dict[str, float]
    winners: tuple[str, ...]
    """`MODEL`, or names of trivial baselines; several where they tie; empty where all score the same, or NaN."""

    @property
    def name(self) -> str:
        """The validation metric."""
        return f"val_{self.spec.name}"

    @property
    def model_wins(self) -> bool:
        """True when the model alone is best."""
        return self.winners == (MODEL,)


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """What `metrics.md.j2` shows."""

    table: Table | None
    missing: str
    """Why there is no table."""
    epoch: int | None
    final_epoch: int
    examples: str | None
    batch_size: str | None
    trivial: tuple[tuple[Code, str], ...]
    """Each trivial baseline with its meaning."""
    meanings: tuple[tuple[Code, str], ...]
    """Each metric with its meaning."""


def metric_facts(run: RecordedRun) -> MetricFacts:
    """Collect what the section "Metrics beside trivial baselines" shows."""
    recorded = tuple(run.trivial)
    return MetricFacts(
        table=_table(run, recorded) if run.best_row and run.final_row else None,
        missing=sentence(run.lacks(TrainRecord)),
        epoch=run.best.epoch if run.best else None,
        final_epoch=run.epochs_done,
        examples=count(run.load.val_examples) if run.load else None,
        batch_size=count(run.card.training.batch_size),
        trivial=tuple(
            (Code(entry.name), entry.meaning) for entry in run.loaded.spec.trivial_baselines if entry.name in recorded
        ),
        meanings=tuple((Code(f"val_{spec.name}"), spec.meaning) for spec in run.loaded.spec.metrics),
    )


def comparisons(run: RecordedRun) -> tuple[MetricComparison, ...]:
    """Every metric that was measured for the model and for a trivial baseline, in the workload's order."""
    return tuple(found for spec in run.loaded.spec.metrics if (found := _comparison(run, spec)))


def _comparison(run: RecordedRun, spec: MetricSpec) -> MetricComparison | None:
    name = f"val_{spec.name}"
    model = run.value(name, run.best_row)
    trivial = {baseline: scores[name] for baseline, scores in run.trivial.items() if name in scores}
    if model is None or not trivial:
        return None
    return MetricComparison(spec=spec, model=model, trivial=trivial, winners=_winners({MODEL: model, **trivial}, spec))


def _winners(scores: dict[str, float], spec: MetricSpec) -> tuple[str, ...]:
    numbers = {name: value for name, value in scores.items() if not math.isnan(value)}
    if len(set(numbers.values())) < 2:
        return ()  # a value that all predictors share is a fact of the data
    top = (min if spec.direction == "min" else max)(numbers.values())
    return tuple(name for name, value in numbers.items() if value == top)


def _table(run: RecordedRun, baselines: tuple[str, ...]) -> Table:
    best_head = f"Model, epoch {run.best.epoch}" if run.best else "Model"
    final_head = f"Final, epoch {run.epochs_done}"
    columns = ("Metric", "Better", best_head, "Per batch", final_head, "Final, per batch", *baselines, "Best is")
    by_name = {found.name: found for found in comparisons(run)}
    rows = [_row(run, spec, by_name.get(f"val_{spec.name}"), baselines) for spec in run.loaded.spec.metrics]
    return Table(columns, f"llrrrr{'r' * len(baselines)}l", tuple(rows))


def _row(
    run: RecordedRun, spec: MetricSpec, found: MetricComparison | None, baselines: tuple[str, ...]
) -> tuple[Cell, ...]:
    name = f"val_{spec.name}"
    return (
        Code(name),
        _direction(spec) if found is None or found.winners else None,
        measured(run.value(name, run.best_row), spec),
        measured(_per_batch(name, run.best_row), spec),
        measured(run.value(name, run.final_row), spec),
        measured(_per_batch(name, run.final_row), spec),
        *(measured(run.trivial[baseline].get(name), spec) for baseline in baselines),
        _winner_cell(found),
    )


def _per_batch(name: str, row: HistoryRow | None) -> float | None:
    return row.per_batch.get(name) if row else None


def _direction(spec: MetricSpec) -> str:
    return "lower" if spec.direction == "min" else "higher"


def _winner_cell(found: MetricComparison | None) -> Cell:
    if found is None or not found.winners:
        return None
    text = listed(found.winners)
    return text if found.model_wins else Strong(text)
