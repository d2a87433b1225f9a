"""Kill thresholds: what each rule saw, and whether it fired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cardrunner.kill_rules import Rule, judge
from cardrunner.kill_rules.base import Observation
from cardrunner.report.format import joined, measured, stated
from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Cell, Strong, Table, table
from cardrunner.runs.ledger import Event


@dataclass(frozen=True, kw_only=True)
class ThresholdFacts:
    """The section."""

    table: Table | None
    seen: Table | None
    """What each rule saw after each validation."""
    verdicts: tuple[str, ...]
    unrecorded: tuple[str, ...]
    """Rules that the recorded metrics would have fired and that the ledger knows nothing of."""


def threshold_facts(run: Recorded) -> ThresholdFacts:
    """The rows of the section."""
    rules = run.card.kill_thresholds
    if not rules:
        return ThresholdFacts(table=None, seen=None, verdicts=(), unrecorded=())
    columns = ("Rule", "Condition", "Action", "Closest it came", "Fired", "Why it is there")
    return ThresholdFacts(
        table=Table(columns, "rlllll", tuple(_row(run, number, rule) for number, rule in enumerate(rules))),
        seen=_seen(run, rules),
        verdicts=tuple(sentence(event) for event in fired_events(run)),
        unrecorded=unrecorded(run),
    )


def fired_events(run: Recorded) -> list[Event]:
    """The verdicts in the ledger."""
    return [event for event in run.events if event.get("event") == "verdict"]


def sentence(event: Event) -> str:
    """A verdict as a sentence."""
    return f"{event.get('condition')}: {event.get('message')} → {event.get('action')}"


def unrecorded(run: Recorded) -> tuple[str, ...]:
    """Conditions that the recorded metrics fulfil, without a verdict in the ledger."""
    rules, recorded = run.card.kill_thresholds, {event.get("rule") for event in fired_events(run)}
    due = {
        found.rule for length in range(1, len(run.validations) + 1) for found in judge(rules, run.validations[:length])
    }
    return tuple(rules[number].describe() for number in sorted(due - recorded))


def _row(run: Recorded, number: int, rule: Rule) -> tuple[Cell, ...]:
    fired = [event for event in fired_events(run) if event.get("rule") == number]
    when = joined(f"epoch {event.get('epoch')}" for event in fired)
    return (
        str(number + 1),
        rule.describe(),
        _action(rule),
        _closest(run, _observations(run, rule)),
        Strong(f"yes, {when}") if fired else "no",
        rule.why,
    )


def _action(rule: Rule) -> str:
    changes = joined(f"{path} = {value}" for path, value in (rule.set or {}).items())
    return f"{rule.action} with {changes}" if changes else rule.action


def _observations(run: Recorded, rule: Rule) -> list[Observation]:
    prefixes = (run.validations[:length] for length in range(1, len(run.validations) + 1))
    return [seen for prefix in prefixes if (seen := rule.observe(prefix))]


def _closest(run: Recorded, observations: Sequence[Observation]) -> str:
    if not observations:
        return "nothing to look at"
    latest_first = observations[::-1]
    nearest = min(latest_first, key=lambda seen: -math.inf if math.isnan(seen.room) else seen.room)
    if nearest.metric is None:
        return f"{nearest.value:g} of {nearest.limit:g} {nearest.unit or ''}, epoch {nearest.epoch}"
    spec = run.spec(nearest.metric)
    return f"{measured(nearest.value, spec)} against {stated(nearest.limit, spec)}, epoch {nearest.epoch}"


def _seen(run: Recorded, rules: Sequence[Rule]) -> Table | None:
    """Epoch by rule; rules that never had anything to look at have no column."""
    by_rule = {number: {seen.epoch: seen for seen in _observations(run, rule)} for number, rule in enumerate(rules)}
    shown = [number for number, seen in by_rule.items() if seen]
    if not shown:
        return None
    columns = ("Epoch", *(f"Rule {number + 1}: {_subject(by_rule[number])}" for number in shown))
    rows = [
        (str(row.epoch), *(_value(run, by_rule[number].get(row.epoch)) for number in shown)) for row in run.validations
    ]
    return table(columns, "r" * len(columns), rows)


def _subject(seen: dict[int, Observation]) -> str:
    first = next(iter(seen.values()))
    return first.metric or first.unit or "value"


def _value(run: Recorded, seen: Observation | None) -> Cell:
    if seen is None:
        return "not looked at"
    return measured(seen.value, run.spec(seen.metric)) if seen.metric else f"{seen.value:g} of {seen.limit:g}"


def rules_summary(run: Recorded) -> str:
    """One sentence for the verdict."""
    rules, fired = run.card.kill_thresholds, fired_events(run)
    if not rules:
        return "The card has no kill thresholds."
    if fired:
        return f"{'Kill threshold' if len(fired) == 1 else 'Kill thresholds'} fired: {'; '.join(map(sentence, fired))}."
    if not run.validations:
        return "The kill thresholds had nothing to look at."
    return f"No kill threshold fired (of {len(rules)})."
