"""Kill thresholds: do they make sense, with each other, with the baselines, the targets and the training?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from cardrunner.card.metric_checks import baseline_value, direction_of, side_of, target_text
from cardrunner.card.schema.card import Card
from cardrunner.kill_rules import MetricLimit, NotDecreasing
from cardrunner.specs import Location, MetricNames, Remark, WorkloadSpec

IndexedLimit = tuple[int, MetricLimit]


def directions(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A rule fires on the worse side of its metric."""
    for index, rule in enumerate(card.kill_thresholds):
        better = direction_of(card, spec, rule.metric) if isinstance(rule, MetricLimit | NotDecreasing) else None
        if isinstance(rule, NotDecreasing) and better == "max":
            message = f"{rule.metric} should rise, not fall; use above, below or a metric that should fall"
            yield Remark(loc=("kill_thresholds", index, "not_decreasing_for"), message=message)
        if isinstance(rule, MetricLimit) and better and (rule.above is None) == (better == "min"):
            message = (
                f"{rule.metric} is better when {'smaller' if better == 'min' else 'larger'}: this fires when it is good"
            )
            yield Remark(loc=("kill_thresholds", index, side_of(rule)), message=message, severity="warning")


def tighter_than_baseline(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A threshold that the baseline it names would not pass."""
    for index, rule in _limits(card):
        value = baseline_value(card, spec, rule.baseline, rule.metric)
        if value is not None and _fires_on(rule, value):
            message = f"{rule.limit:g} is tighter than {rule.baseline}, which has {value:g}: that run would not pass"
            yield Remark(loc=("kill_thresholds", index, side_of(rule)), message=message, severity="warning")


def scopes(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A rule that can never fire in so many epochs."""
    del spec
    epochs = card.training.epochs
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index)
        if isinstance(rule, MetricLimit) and (rule.after or 0) > epochs:
            yield Remark(loc=(*loc, "after"), message=f"never fires: the run has {epochs} epochs", severity="warning")
        if isinstance(rule, NotDecreasing) and rule.not_decreasing_for >= epochs:
            message = f"never fires: it needs {rule.not_decreasing_for + 1} epochs and the run has {epochs}"
            yield Remark(loc=(*loc, "not_decreasing_for"), message=message, severity="warning")


def contradictions(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Two limits that no value passes, and rules that stand twice."""
    resolve = MetricNames(spec.metrics).canonical
    for (early, first), (late, second) in combinations(_limits(card), 2):
        if resolve(first.metric) != resolve(second.metric):
            continue
        loc: Location = ("kill_thresholds", late, side_of(second))
        if side_of(first) != side_of(second) and _no_value_passes(first, second):
            message = f"contradicts kill_thresholds[{early}] ({first.describe()}): every value fires one of the two"
            yield Remark(loc=loc, message=message)
        elif (first.describe(), first.action) == (second.describe(), second.action):
            yield Remark(loc=loc, message=f"says the same as kill_thresholds[{early}]", severity="warning")


def against_targets(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A rule that stops a run for reaching a target."""
    resolve = MetricNames(spec.metrics).canonical
    for index, rule in _limits(card):
        for number, target in enumerate(card.targets):
            same_side = side_of(rule) == side_of(target)
            if resolve(rule.metric) != resolve(target.metric) or not same_side:
                continue
            looser = rule.limit >= target.limit if side_of(rule) == "below" else rule.limit <= target.limit
            if looser:
                message = f"fires on every value that reaches targets[{number}] ({target_text(target)})"
                yield Remark(loc=("kill_thresholds", index, side_of(rule)), message=message)


def _limits(card: Card) -> list[IndexedLimit]:
    return [(index, rule) for index, rule in enumerate(card.kill_thresholds) if isinstance(rule, MetricLimit)]


def _fires_on(rule: MetricLimit, value: float) -> bool:
    return value > rule.limit if rule.above is not None else value < rule.limit


def _no_value_passes(first: MetricLimit, second: MetricLimit) -> bool:
    above, below = (first, second) if first.above is not None else (second, first)
    return above.limit < below.limit
