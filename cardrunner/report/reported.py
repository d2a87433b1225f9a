"""The metrics that a script reported, beside each other: at the best checkpoint and at the end."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Table, measured, sentence
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.records import TrainRecord


@dataclass(frozen=True, kw_only=True)
class ReportedFacts:
    """What `reported.md.j2` shows."""

    table: Table | None
    missing: str
    """Why there is no table."""
    again: str
    """Whether any of them was measured again."""
    meanings: tuple[tuple[Code, str], ...]


def reported_facts(run: RecordedRun) -> ReportedFacts:
    """Collect what the section "Metrics, reported by the script" shows."""
    return ReportedFacts(
        table=_table(run) if run.rows else None,
        missing=sentence(run.lacks(TrainRecord)),
        again=_again(run),
        meanings=tuple((Code(spec.name), spec.meaning) for spec in run.loaded.spec.metrics if spec.meaning),
    )


def _again(run: RecordedRun) -> str:
    measured_again = run.checkpoint.measured if run.checkpoint else {}
    if not measured_again:
        return "they were not measured again"
    names = ", ".join(measured_again)
    return f"of those of the best checkpoint, the card's training.evaluate measured again {names}"


def _table(run: RecordedRun) -> Table:
    best, final = run.best_row, run.final_row
    logs = [row for row in reversed(run.rows) if row.kind == "train"]
    heads = ("Metric", "Better", _head("Best", best), _head("Last validation", final), "Last log")
    rows: list[tuple[Cell, ...]] = []
    for spec in run.loaded.spec.metrics:
        better = "lower" if spec.direction == "min" else "higher"
        if not spec.training_only:
            name = f"val_{spec.name}"
            values = (measured(run.value(name, best), spec), measured(run.value(name, final), spec), None)
            rows.append((Code(name), better, *values))
        if not spec.validation_only:
            row = next((row for row in logs if spec.name in row.metrics), None)
            value = measured(row.metrics[spec.name], spec) if row else None
            rows.append((Code(spec.name), better, None, None, f"{value}, step {row.step:,}" if row else None))
    return Table(heads, "llrrr", tuple(rows))


def _head(what: str, row: HistoryRow | None) -> str:
    return what if row is None else f"{what}, step {row.step:,}"
