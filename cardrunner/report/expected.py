"""Expected against actual: what the card says about data and model, and what was found."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Strong, Table, count, sentence
from cardrunner.runs.records import FactRow, LoadRecord, TrainRecord
from cardrunner.units import format_duration


@dataclass(frozen=True, kw_only=True)
class ExpectedFacts:
    """What `expected.md.j2` shows."""

    table: Table
    missing: tuple[str, ...]
    mode: str | None
    seconds: str | None


def expected_facts(run: RecordedRun) -> ExpectedFacts:
    """Collect what the section "Expected against actual" shows."""
    rows = facts_of(run)
    absent = [kind for kind in (LoadRecord, TrainRecord) if run.left(kind) is None]
    return ExpectedFacts(
        table=Table(("What", "Expected", "Actual", "Result", "Note"), "lllll", tuple(_row(row) for row in rows)),
        missing=tuple(sentence(run.lacks(kind)) for kind in absent),
        mode=run.load.mode if run.load else None,
        seconds=format_duration(run.load.seconds) if run.load else None,
    )


def facts_of(run: RecordedRun) -> tuple[FactRow, ...]:
    """Every fact that was checked: of the data by the load stage, of the model by the train stage."""
    facts = run.load.facts if run.load else ()
    return (*facts, *_parameters(run))


def failed_facts(run: RecordedRun) -> tuple[FactRow, ...]:
    """The facts that differ from the card."""
    return tuple(row for row in facts_of(run) if not row.ok)


def _parameters(run: RecordedRun) -> list[FactRow]:
    if run.train is None:
        return []
    expected, actual = run.card.model.parameters, run.train.parameters
    ok = expected in (None, actual)
    return [FactRow(name="trainable parameters", expected=count(expected), actual=f"{actual:,}", ok=ok)]


def _row(fact: FactRow) -> tuple[Cell, ...]:
    return (fact.name, fact.expected or "not stated", fact.actual, _result(fact), fact.note)


def _result(fact: FactRow) -> Cell:
    if fact.ok:
        return "as stated" if fact.expected is not None else "noted"
    return Strong("✗ differs" if fact.severity == "error" else "⚠ look at it")
