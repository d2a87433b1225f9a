"""Earlier runs that the card compares with, beside this one."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.card.schema.metrics import Baseline
from cardrunner.report.format import measured, stated
from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Cell, Code, Strong, Table


@dataclass(frozen=True, kw_only=True)
class PriorFacts:
    """The section."""

    table: Table | None


def prior_facts(run: Recorded) -> PriorFacts:
    """One row per earlier run and one for this run at its best checkpoint."""
    baselines = run.card.baselines
    if not baselines:
        return PriorFacts(table=None)
    facts = list(dict.fromkeys(name for baseline in baselines for name in baseline.facts))
    metrics = list(dict.fromkeys(run.names.canonical(name) for baseline in baselines for name in baseline.metrics))
    rows = [_row(run, baseline, facts, metrics) for baseline in baselines]
    own = (measured(run.value(name, run.best_row), run.spec(name)) for name in metrics)
    epoch = f"measured, epoch {run.best.epoch}" if run.best else run.absent("train")
    rows.append((Strong(f"this run, {run.folder.name}"), *(None for _ in facts), *own, epoch))
    columns = ("Run", *facts, *metrics, "Notes")
    return PriorFacts(table=Table(columns, f"l{'r' * (len(facts) + len(metrics))}l", tuple(rows)))


def _row(run: Recorded, baseline: Baseline, facts: list[str], metrics: list[str]) -> tuple[Cell, ...]:
    values = {run.names.canonical(name): value for name, value in baseline.metrics.items()}
    known = (str(baseline.facts[name]) if name in baseline.facts else None for name in facts)
    scores = (stated(values.get(name), run.spec(name)) for name in metrics)
    return (Code(baseline.run), *known, *scores, "; ".join(baseline.notes) or None)
