"""Checks of names: every metric is computed, every baseline is listed, directions fit, readings are consistent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.metrics import Target
from cardrunner.common.text import nearest
from cardrunner.kill_rules.quantities import QUANTITIES, range_of
from cardrunner.specs import Direction, Location, MetricNames, Remark


def free_metrics(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A free metric has a new name, and is listed once."""
    computed, seen = set(MetricNames(spec.metrics).known()), set[str]()
    for index, metric in enumerate(card.metrics):
        if metric.name in computed:
            yield Remark(
                loc=("metrics", index, "name"), message=f"{metric.name} is computed by {spec.name}; leave it out here"
            )
        if metric.name in seen:
            yield Remark(loc=("metrics", index, "name"), message=f"{metric.name} is listed twice")
        seen.add(metric.name)


def known_to_people(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Targets and baselines use metrics that the workload computes or the card describes."""
    computed = MetricNames(spec.metrics)
    own = {metric.name for metric in card.metrics}
    for loc, name in (*_target_uses(card), *_stated_values(card)):
        if computed.spec(name) is None and name not in own:
            yield Remark(
                loc=loc,
                message=_unknown(
                    name, (*computed.known(), *own), spec, "use one it has, or describe this one under metrics"
                ),
            )


def known_to_the_workload(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """The metrics that select the best checkpoint or stop the run are computed in training, or are quantities."""
    computed = MetricNames(spec.metrics)
    hint = "only metrics it computes can be watched"
    for loc, name in _choosing(card):
        if computed.spec(name) is None:
            yield Remark(loc=loc, message=_unknown(name, computed.known(), spec, hint))
    for loc, name in _watched(card):
        if computed.spec(name) is None and computed.training(name) is None and name not in QUANTITIES:
            known = (*computed.known(training=True), *QUANTITIES)
            yield Remark(loc=loc, message=_unknown(name, known, spec, hint))


def selection(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """The best checkpoint is selected in the direction in which its metric is better."""
    chosen = card.training.selection
    if chosen is None:
        return
    metric = MetricNames(spec.metrics).spec(chosen.metric)
    if metric and metric.direction != chosen.mode:
        message = (
            f"is {chosen.mode}, but {chosen.metric} is better when {_better(metric.direction)}: best would be the worst"
        )
        yield Remark(loc=("training", "select", "mode"), message=message, severity="warning")


def listed_baselines(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A named baseline is listed once and states the metric."""
    listed, seen = [baseline.run for baseline in card.baselines], set[str]()
    for index, name in enumerate(listed):
        if name in seen:
            yield Remark(loc=("baselines", index, "run"), message=f"{name} is listed twice")
        seen.add(name)
    for loc, metric, name in _named_baselines(card):
        if name not in seen:
            yield Remark(loc=loc, message=f"{_quoted(name)} is not one of the baselines{_did_you_mean(name, listed)}")
        elif direction_of(card, spec, metric) and baseline_value(card, spec, name, metric) is None:
            message = f"{name} states no {metric}; add it to that baseline's metrics"
            yield Remark(loc=loc, message=message, severity="error" if loc[-1] == "relative_to" else "warning")


def targets(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A target is on the better side of its metric, and beyond the value of its baseline."""
    for index, target in enumerate(card.targets):
        loc: Location = ("targets", index)
        yield from _direction(loc, target, card, spec)
        value = baseline_value(card, spec, target.baseline, target.metric)
        if value is not None and target.met_by(value):
            message = f"asks for {target_text(target)}, which {target.baseline} has already with {value:g}"
            yield Remark(loc=(*loc, side_of(target)), message=message, severity="warning")


def tiers(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A target's tier is one of the card's success tiers."""
    del spec
    listed = [tier.tier for tier in card.success]
    for index, target in enumerate(card.targets):
        if target.tier is not None and listed and target.tier not in listed:
            message = f"{_quoted(target.tier)} is not one of the success tiers{_did_you_mean(target.tier, listed)}"
            yield Remark(loc=("targets", index, "tier"), message=message)


def readings(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Each result has one reading."""
    del spec
    first: dict[str, int] = {}
    for index, reading in enumerate(card.readings):
        earlier = first.setdefault(reading.when.casefold(), index)
        if earlier != index and card.readings[earlier].then != reading.then:
            yield Remark(
                loc=("readings", index, "if"), message=f"the same result is read differently in readings[{earlier}]"
            )


def baseline_value(card: Card, spec: WorkloadSpec, run: str | None, metric: str) -> float | None:
    """The value of an earlier run in a metric, whichever aliases are used."""
    resolve = MetricNames(spec.metrics).canonical
    found = (baseline for baseline in card.baselines if baseline.run == run)
    values = (
        value for baseline in found for name, value in baseline.metrics.items() if resolve(name) == resolve(metric)
    )
    return next(values, None)


def side_of(target: Target) -> str:
    """The key that holds the limit: below or above."""
    return "below" if target.below is not None else "above"


def target_text(target: Target) -> str:
    """``val_error < 0.015``."""
    return f"{target.metric} {'<' if target.below is not None else '>'} {target.limit:g}"


def direction_of(card: Card, spec: WorkloadSpec, name: str) -> Direction | None:
    """The direction in which a metric or a quantity of the run is better; None if unknown."""
    names = MetricNames(spec.metrics)
    if computed := names.spec(name) or names.training(name):
        return computed.direction
    if name in QUANTITIES:
        return "min" if QUANTITIES[name].worse == "above" else "max"
    return next((metric.direction for metric in card.metrics if metric.name == name), None)


def _direction(loc: Location, target: Target, card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    better = direction_of(card, spec, target.metric)
    if better and better != ("min" if target.below is not None else "max"):
        side = "below" if better == "min" else "above"
        message = f'{target.metric} is better when {_better(better)}; did you mean "{side}"?'
        yield Remark(loc=(*loc, side_of(target)), message=message, severity="warning")


def _target_uses(card: Card) -> Iterator[tuple[Location, str]]:
    yield from ((("targets", index, "metric"), target.metric) for index, target in enumerate(card.targets))


def _stated_values(card: Card) -> Iterator[tuple[Location, str]]:
    for index, baseline in enumerate(card.baselines):
        yield from ((("baselines", index, "metrics", name), name) for name in baseline.metrics)


def _watched(card: Card) -> Iterator[tuple[Location, str]]:
    for index, rule in enumerate(card.kill_thresholds):
        if rule.watches is not None:
            yield ("kill_thresholds", index, "metric"), rule.watches


def _choosing(card: Card) -> Iterator[tuple[Location, str]]:
    if (chosen := card.training.selection) is not None:
        yield ("training", "select", "metric"), chosen.metric
    yield from ((("training", "keep_best", index), name) for index, name in enumerate(card.training.also_kept))


def _named_baselines(card: Card) -> Iterator[tuple[Location, str, str]]:
    for index, target in enumerate(card.targets):
        if target.baseline is not None:
            yield ("targets", index, "baseline"), target.metric, target.baseline
    for index, rule in enumerate(card.kill_thresholds):
        for key, run in rule.baselines():
            yield ("kill_thresholds", index, key), rule.watches or "", run


def _unknown(name: str, known: Iterable[str], spec: WorkloadSpec, more: str) -> str:
    near = nearest(name, known, cutoff=0.7)
    hint = f'did you mean "{near}"?' if near else more
    return f"{spec.name} computes no metric {_quoted(name)}" + (f"; {hint}" if hint else "")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known, cutoff=0.7)
    return f'; did you mean "{near}"?' if near else ""


def _quoted(name: str) -> str:
    return f'"{name}"' if len(name) <= 64 else f'"{name[:63]}…"'


def _better(direction: Direction) -> str:
    return "smaller" if direction == "min" else "larger"


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
