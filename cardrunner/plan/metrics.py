"""The metrics that rules and targets use against those that the workload computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cardrunner.card.load import LoadedCard
from cardrunner.card.metric_checks import target_text
from cardrunner.card.schema.card import Card
from cardrunner.contracts import MetricNames
from cardrunner.kill_rules import QUANTITIES
from cardrunner.plan.records import MetricUse, PlannedMetric, PlannedRule


def planned_metrics(loaded: LoadedCard) -> Iterator[PlannedMetric]:
    """Every metric that the card needs, by its canonical name, in the order of first use."""
    names = MetricNames(loaded.spec.metrics)
    uses: dict[str, list[MetricUse]] = {}
    for use in _uses(loaded.card):
        uses.setdefault(names.canonical(use.written), []).append(use)
    own = {metric.name: metric for metric in loaded.card.metrics}
    for name, places in uses.items():
        computed = names.spec(name) or names.training(name)
        spec = computed or own.get(name)
        yield PlannedMetric(
            name=name,
            computed=computed is not None,
            direction=spec.direction if spec else None,
            unit=spec.unit if spec else None,
            uses=tuple(places),
        )


def also_computed(loaded: LoadedCard, used: Iterable[PlannedMetric]) -> Iterator[str]:
    """What the workload computes and no place of the card needs."""
    names = {metric.name for metric in used}
    yield from (name for spec in loaded.spec.metrics if (name := f"val_{spec.name}") not in names)


def planned_rules(card: Card) -> Iterator[PlannedRule]:
    """The kill thresholds as reviewers read them."""
    for rule in card.kill_thresholds:
        yield PlannedRule(condition=rule.describe(), action=rule.action, set=dict(rule.set or {}), why=rule.why)


def _uses(card: Card) -> Iterator[MetricUse]:
    select = card.training.select
    yield MetricUse(
        where="training.select",
        written=select.metric,
        role="best checkpoint",
        condition="the smallest" if select.mode == "min" else "the largest",
    )
    for index, target in enumerate(card.targets):
        condition = target_text(target).removeprefix(target.metric).strip()
        yield MetricUse(where=f"targets[{index}]", written=target.metric, role="target", condition=condition)
    for index, rule in enumerate(card.kill_thresholds):
        if rule.watches is not None and rule.watches not in QUANTITIES:
            condition = f"{rule.describe().removeprefix(rule.watches).strip()}: {rule.action}"
            where = f"kill_thresholds[{index}]"
            yield MetricUse(where=where, written=rule.watches, role="kill threshold", condition=condition)
    for index, baseline in enumerate(card.baselines):
        for name, value in baseline.metrics.items():
            where, condition = f"baselines[{index}].metrics", f"{baseline.run} {value:g}"
            yield MetricUse(where=where, written=name, role="baseline", condition=condition)
