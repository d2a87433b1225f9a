"""Targets: what was promised against what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cardrunner.card.schema.metrics import Baseline, Target
from cardrunner.common.text import listed
from cardrunner.contracts import Direction
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, difference, measured, stated
from cardrunner.runs.records import TrainRecord

Outcome = Literal["met", "not met", "not measured", "to be judged by people"]


@dataclass(frozen=True, kw_only=True)
class TargetResult:
    """A target and its outcome at the best checkpoint."""

    target: Target
    value: float | None
    outcome: Outcome
    reference: float | None
    """The value of the baseline run that the target names."""
    also_met_by: tuple[str, ...]
    """Trivial baselines that meet the target too, although they learned nothing."""

    @property
    def condition(self) -> str:
        """``<`` or ``>``: the comparison that the limit states."""
        return "<" if self.target.below is not None else ">"

    def limit(self, run: RecordedRun) -> str:
        """The limit, as the card writes it."""
        return stated(self.target.limit, run.spec(self.target.metric)) or ""


@dataclass(frozen=True, kw_only=True)
class TargetFacts:
    """What `targets.md.j2` shows."""

    table: Table
    source: str
    hollow: tuple[tuple[Code, str], ...]
    """Targets that trivial baselines meet too, with the names of those baselines."""


def target_facts(run: RecordedRun) -> TargetFacts:
    """Collect what the section "Targets" shows."""
    results = target_results(run)
    return TargetFacts(
        table=Table(
            ("Metric", "Target", "Value", "Result", "Baseline run", "Its value", "Difference", "Notes"),
            "lrrllrrl",
            tuple(_row(run, result) for result in results),
        ),
        source=value_source(run),
        hollow=tuple(
            (Code(result.target.metric), listed(result.also_met_by)) for result in results if result.also_met_by
        ),
    )


def target_results(run: RecordedRun) -> tuple[TargetResult, ...]:
    """Every target of the card, in its order."""
    return tuple(_result(run, target) for target in run.card.targets)


def value_source(run: RecordedRun) -> str:
    """Which validation the values come from, as a sentence."""
    if run.reported and run.best_row is not None:
        which = "the best validation" if run.best else "the last validation"
        return f"Values are those of {which}, step {run.best_row.step:,}, as reported by the script."
    if run.best is None or run.best_row is None:
        return f"No validation was recorded, so nothing was measured: {run.lacks(TrainRecord)}."
    how = "lowest" if run.best.mode == "min" else "highest"
    chosen = f"chosen by the {how} {run.best.metric}, {measured(run.best.value, run.spec(run.best.metric))}"
    where = "" if run.train else "; the train stage left no record, so the choice was made again from history.jsonl"
    values = f"Values are those of epoch {run.best.epoch}, the best checkpoint ({chosen})"
    return f"{values}, averaged over all validation examples{where}."


def _result(run: RecordedRun, target: Target) -> TargetResult:
    value = run.value(target.metric, run.best_row)
    return TargetResult(
        target=target,
        value=value,
        outcome=_outcome(run, target, value),
        reference=_reference(run, target),
        also_met_by=tuple(name for name, score in _trivial_scores(run, target) if target.met_by(score)),
    )


def _outcome(run: RecordedRun, target: Target, value: float | None) -> Outcome:
    if value is None:
        free = any(metric.name == target.metric for metric in run.card.metrics)
        return "to be judged by people" if free and run.spec(target.metric) is None else "not measured"
    return "not measured" if math.isnan(value) else "met" if target.met_by(value) else "not met"


def _reference(run: RecordedRun, target: Target) -> float | None:
    baseline = next((entry for entry in run.card.baselines if entry.run == target.baseline), None)
    names = {run.names.canonical(name): value for name, value in baseline.metrics.items()} if baseline else {}
    return names.get(run.names.canonical(target.metric))


def _trivial_scores(run: RecordedRun, target: Target) -> Sequence[tuple[str, float]]:
    name = run.names.canonical(target.metric)
    return [(baseline, scores[name]) for baseline, scores in run.trivial.items() if name in scores]


_MARKS: dict[Outcome, Cell] = {
    "met": Strong("✓ met"),
    "not met": Strong("✗ not met"),
    "not measured": "not measured",
    "to be judged by people": "to be judged by people",
}


def _row(run: RecordedRun, result: TargetResult) -> tuple[Cell, ...]:
    target, spec = result.target, run.spec(result.target.metric)
    notes = "; ".join((*((f"tier: {target.tier}",) if target.tier else ()), *target.notes))
    return (
        Code(target.metric),
        f"{result.condition} {result.limit(run)}",
        measured(result.value, spec),
        _MARKS[result.outcome],
        Code(target.baseline) if target.baseline else None,
        stated(result.reference, spec),
        _change(result, spec.direction if spec else None, run),
        notes or None,
    )


def _change(result: TargetResult, direction: Direction | None, run: RecordedRun) -> str | None:
    if result.value is None or result.reference is None or math.isnan(result.value):
        return None
    text = difference(result.value, result.reference, run.spec(result.target.metric))
    if direction is None or result.value == result.reference:
        return text
    return f"{text} ({'better' if (result.value < result.reference) == (direction == 'min') else 'worse'})"


@dataclass(frozen=True, kw_only=True)
class PriorFacts:
    """What `priors.md.j2` shows."""

    table: Table | None


def prior_facts(run: RecordedRun) -> PriorFacts:
    """One row per earlier run and one for this run at its best checkpoint."""
    baselines = run.card.baselines
    if not baselines:
        return PriorFacts(table=None)
    facts = list(dict.fromkeys(name for baseline in baselines for name in baseline.facts))
    metrics = list(dict.fromkeys(run.names.canonical(name) for baseline in baselines for name in baseline.metrics))
    rows = [_prior_row(run, baseline, facts, metrics) for baseline in baselines]
    own = (measured(run.value(name, run.best_row), run.spec(name)) for name in metrics)
    epoch = _measured_at(run)
    rows.append((Strong(f"this run, {run.folder.name}"), *(None for _ in facts), *own, epoch))
    columns = ("Run", *facts, *metrics, "Notes")
    return PriorFacts(table=Table(columns, f"l{'r' * (len(facts) + len(metrics))}l", tuple(rows)))


def _prior_row(run: RecordedRun, baseline: Baseline, facts: list[str], metrics: list[str]) -> tuple[Cell, ...]:
    values = {run.names.canonical(name): value for name, value in baseline.metrics.items()}
    known = (str(baseline.facts[name]) if name in baseline.facts else None for name in facts)
    scores = (stated(values.get(name), run.spec(name)) for name in metrics)
    return (Code(baseline.run), *known, *scores, "; ".join(baseline.notes) or None)


@dataclass(frozen=True, kw_only=True)
class JudgementFacts:
    """What `judgement.md.j2` shows; a table is None if the card has no entries for it."""

    tiers: Table | None
    readings: Table | None
    risks: Table | None
    fallbacks: Table | None
    free_metrics: Table | None

    @property
    def empty(self) -> bool:
        """True when the card leaves nothing to judge."""
        return not any((self.tiers, self.readings, self.risks, self.fallbacks, self.free_metrics))


def judgement_facts(run: RecordedRun) -> JudgementFacts:
    """Collect what the section "For people to judge" shows."""
    card, results = run.card, target_results(run)
    return JudgementFacts(
        tiers=_table(
            ("Tier", "Means", "Its targets"),
            [(tier.tier, tier.means, _of_tier(tier.tier, results)) for tier in card.success],
        ),
        readings=_table(("If", "Then"), [(reading.when, reading.then) for reading in card.readings]),
        risks=_table(
            ("Risk", "Likelihood", "Mitigation"), [(risk.risk, risk.likelihood, risk.mitigation) for risk in card.risks]
        ),
        fallbacks=_table(("When", "Then"), [(fallback.when, fallback.then) for fallback in card.fallbacks]),
        free_metrics=_table(
            ("Metric", "Better", "Unit", "Horizon", "Meaning"),
            [
                (
                    Code(metric.name),
                    "lower" if metric.direction == "min" else "higher",
                    metric.unit,
                    metric.horizon,
                    metric.meaning,
                )
                for metric in card.metrics
            ],
        ),
    )


def _of_tier(tier: str, results: tuple[TargetResult, ...]) -> str | None:
    own = [result for result in results if result.target.tier == tier]
    return f"{sum(result.outcome == 'met' for result in own)} of {len(own)} met" if own else None


def _table(columns: tuple[str, ...], rows: list[tuple[str | Code | int | None, ...]]) -> Table | None:
    return Table(columns, "l" * len(columns), tuple(rows)) if rows else None


def _measured_at(run: RecordedRun) -> str:
    if run.reported and run.best_row is not None:
        return f"reported by the script, step {run.best_row.step:,}"
    return f"measured, epoch {run.best.epoch}" if run.best else run.lacks(TrainRecord)
