"""Kill thresholds: what each rule saw, and whether it fired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cardrunner.common.text import listed
from cardrunner.kill_rules import QUANTITIES, Observation, Rule
from cardrunner.kill_rules.quantities import number_text
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Strong, Table, measured, stated, table
from cardrunner.runs.events import ProjectedOverrun, RuleFired, assignments

_IDLE = "validations in a row without improvement"


@dataclass(frozen=True, kw_only=True)
class ThresholdFacts:
    """What `thresholds.md.j2` shows."""

    table: Table | None
    seen: Table | None
    """What each rule saw in each epoch."""
    verdicts: tuple[str, ...]
    unrecorded: tuple[str, ...]
    """Conditions that the recorded metrics meet and for which the ledger has no verdict."""
    overruns: tuple[str, ...]
    """Projections beyond the budget or the timeout."""


def threshold_facts(run: RecordedRun) -> ThresholdFacts:
    """Collect what the section "Kill thresholds" shows."""
    rules = run.card.kill_thresholds
    overruns = tuple(event.sentence() for event in run.events if isinstance(event, ProjectedOverrun))
    if not rules:
        return ThresholdFacts(table=None, seen=None, verdicts=(), unrecorded=(), overruns=overruns)
    columns = ("Rule", "Condition", "Action", "Closest it came", "Fired", "Why it is there")
    return ThresholdFacts(
        table=Table(columns, "rlllll", tuple(_row(run, number, rule) for number, rule in enumerate(rules))),
        seen=_seen(run, rules),
        verdicts=tuple(event.sentence() for event in fired_events(run)),
        unrecorded=unrecorded(run),
        overruns=overruns,
    )


def fired_events(run: RecordedRun) -> list[RuleFired]:
    """The verdicts in the ledger."""
    return [event for event in run.events if isinstance(event, RuleFired)]


def unrecorded(run: RecordedRun) -> tuple[str, ...]:
    """Conditions that the recorded metrics meet and for which the ledger has no verdict."""
    rules, recorded = run.card.kill_thresholds, {event.rule for event in fired_events(run)}
    due = {verdict.rule for moment in run.moments for verdict in moment.verdicts}
    return tuple(rules[number].describe() for number in sorted(due - recorded))


def _row(run: RecordedRun, number: int, rule: Rule) -> tuple[Cell, ...]:
    fired = [event for event in fired_events(run) if event.rule == number]
    when = listed(_place(run, event.kind, event.epoch, event.step) for event in fired)
    return (
        str(number + 1),
        rule.describe(),
        _action(rule),
        _closest(run, _observations(run, number)),
        Strong(f"yes, {when}") if fired else "no",
        rule.why,
    )


def _action(rule: Rule) -> str:
    changes = assignments(rule.set or {})
    return f"{rule.action} with {changes}" if changes else rule.action


def _observations(run: RecordedRun, number: int) -> list[Observation]:
    return [seen for moment in run.moments if (seen := moment.seen[number])]


def _nearest(observations: Sequence[Observation]) -> Observation:
    """The observation closest to the limit; the latest of several equally close."""
    return min(observations[::-1], key=lambda seen: -math.inf if math.isnan(seen.room) else seen.room)


def _closest(run: RecordedRun, observations: Sequence[Observation]) -> str:
    if not observations:
        return "nothing to evaluate"
    nearest = _nearest(observations)
    row, value = nearest.row, _value(run, nearest)
    against = "" if nearest.idle or nearest.limit is None else f" against {_limit(run, nearest)}"
    unit = f" {_IDLE}" if nearest.idle else ""
    return f"{value}{unit}{against}, {_place(run, row.kind, row.epoch, row.step)}"


def _place(run: RecordedRun, kind: object, epoch: object, step: object) -> str:
    return f"epoch {epoch}" if kind == "validation" and not run.reported else f"step {step}"


def _seen(run: RecordedRun, rules: Sequence[Rule]) -> Table | None:
    """What each rule saw in each epoch when it came closest to firing; rules that saw nothing have no column."""
    if run.card.training.planned_epochs is None:
        return None  # without epochs the closest moment of the whole run says it all
    by_rule = {number: _by_epoch(_observations(run, number)) for number in range(len(rules))}
    shown = [number for number, seen in by_rule.items() if seen]
    if not shown:
        return None
    columns = ("Epoch", *(f"Rule {number + 1}: {_subject(by_rule[number])}" for number in shown))
    epochs = sorted({row.epoch for row in run.rows})
    rows = [
        (
            str(epoch),
            *(_value(run, seen) if (seen := by_rule[number].get(epoch)) else "not evaluated" for number in shown),
        )
        for epoch in epochs
    ]
    return table(columns, "r" * len(columns), rows)


def _by_epoch(observations: Sequence[Observation]) -> dict[int, Observation]:
    found: dict[int, list[Observation]] = {}
    for seen in observations:
        found.setdefault(seen.row.epoch, []).append(seen)
    return {epoch: _nearest(several) for epoch, several in found.items()}


def _subject(seen: dict[int, Observation]) -> str:
    first = next(iter(seen.values()))
    return _IDLE if first.idle else first.metric


def _value(run: RecordedRun, seen: Observation) -> str:
    if seen.idle:
        return f"{seen.idle[0]} of {seen.idle[1]}"
    return (
        number_text(seen.metric)(seen.value)
        if seen.metric in QUANTITIES
        else str(measured(seen.value, run.spec(seen.metric)))
    )


def _limit(run: RecordedRun, seen: Observation) -> str:
    if seen.metric in QUANTITIES:
        return number_text(seen.metric)(seen.limit or 0.0)
    limit = None if seen.limit is None else float(f"{seen.limit:.6g}")  # the limit of a relative rule is computed
    return str(stated(limit, run.spec(seen.metric)))


def rules_summary(run: RecordedRun) -> str:
    """Which kill thresholds fired, as one sentence for the verdict section."""
    rules, fired = run.card.kill_thresholds, fired_events(run)
    if not rules:
        return "The card has no kill thresholds."
    if fired:
        sentences = "; ".join(event.sentence() for event in fired)
        return f"{'Kill threshold' if len(fired) == 1 else 'Kill thresholds'} fired: {sentences}."
    if not any(moment.seen.count(None) < len(rules) for moment in run.moments):
        return "The kill thresholds had nothing to evaluate."
    return f"No kill threshold fired (of {len(rules)})."
