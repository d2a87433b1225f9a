"""Checks of numbers that are compared with a metric: is each a possible value of it?

The metric knows its range (`cardrunner.specs.Range`); here are the places of a card that state such a number.
"""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.card.checks.metrics import side_of
from cardrunner.card.schema.card import Card
from cardrunner.kill_rules.quantities import range_of
from cardrunner.specs import Location, MetricNames, Remark, WorkloadSpec

Number = tuple[Location, str, float]
"""The place of a number, its metric, and the number."""


def values_in_range(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Every number is a possible value of its metric: a share is written 99% or 0.99, never 99."""
    names = MetricNames(spec.metrics)
    for loc, metric, value in (*_targets(card), *_baselines(card), *_rule_values(card)):
        if message := range_of(metric, names).value_fault(value, metric):
            yield Remark(loc=loc, message=message)
    for loc, metric, difference in _rule_differences(card):
        values = range_of(metric, names)
        if message := values.difference_fault(difference, metric):
            impossible = abs(difference) > values.width
            yield Remark(loc=loc, message=message, severity="error" if impossible else "warning")


def targets_in_reach(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Every target leaves a value beyond it: no accuracy is above 100%."""
    names = MetricNames(spec.metrics)
    for (loc, metric, limit), target in zip(_targets(card), card.targets, strict=True):
        values = range_of(metric, names)
        end = values.lower if target.below is not None else values.upper
        if limit == end:
            yield Remark(loc=loc, message=f"can never be reached: {metric} {values}", severity="warning")


def _targets(card: Card) -> Iterator[Number]:
    for index, target in enumerate(card.targets):
        yield ("targets", index, side_of(target)), target.metric, target.limit


def _baselines(card: Card) -> Iterator[Number]:
    for index, baseline in enumerate(card.baselines):
        yield from ((("baselines", index, "metrics", name), name, value) for name, value in baseline.metrics.items())


def _rule_values(card: Card) -> Iterator[Number]:
    for index, rule in enumerate(card.kill_thresholds):
        for key, value in rule.stated_values().items():
            yield ("kill_thresholds", index, key), rule.watches or "", value


def _rule_differences(card: Card) -> Iterator[Number]:
    for index, rule in enumerate(card.kill_thresholds):
        for key, difference in rule.stated_differences().items():
            yield ("kill_thresholds", index, key), rule.watches or "", difference
