"""Checks of kill thresholds, alone and against each other, the baselines and the targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from cardrunner.card.checks.metrics import baseline_value, direction_of, side_of, target_text
from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.schema.card import Card
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.kill_rules.base import Bound, Rule
from cardrunner.kill_rules.quantities import QUANTITIES, range_of
from cardrunner.specs import Location, MetricNames, Range, Remark

Place = tuple[int, Bound]
"""A rule's place in the card, and its limit."""


def directions(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Every rule fires on the worse side of its metric."""
    for index, rule in enumerate(card.kill_thresholds):
        better = None if rule.watches is None else direction_of(card, spec, rule.watches)
        if better:
            yield from _below(index, rule.check_direction(better))


def quantities(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Rules on quantities of the run state a limit, and rules on cost need a price."""
    del spec
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index, "metric")
        if rule.watches in QUANTITIES and not rule.watches_quantities:
            message = f"{rule.watches} is measured of the run; give it above, below or relative_to"
            yield Remark(loc=loc, message=message)
        if rule.watches == "cost" and card.infra.price is None:
            yield Remark(loc=loc, message="cannot be metered without infra.price; state the price per hour")


def out_of_reach(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Limits that no possible value is beyond, or that every value is beyond."""
    names = MetricNames(spec.metrics)
    for index, bound in _bounds(card):
        values, why = _values_in(card, names, bound.metric)
        if not range_of(bound.metric, names).holds(bound.limit):
            continue  # an error of another check
        if not (bound.limit < values.upper if bound.over else bound.limit > values.lower):
            message = f"never fires: {why}"
        elif bound.limit <= values.lower and bound.metric in QUANTITIES if bound.over else bound.limit > values.upper:
            message = "fires at once: every value is beyond that"
        else:
            continue
        yield Remark(loc=("kill_thresholds", index, bound.side), message=message, severity="warning")


def beside_baselines(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Limits that a named baseline would not pass, and ambiguous references to baselines."""
    runs = dict.fromkeys(baseline.run for baseline in card.baselines)
    for index, rule in enumerate(card.kill_thresholds):
        named = {run: baseline_value(card, spec, run, rule.watches or "") for _, run in rule.baselines() if run in runs}
        yield from _below(index, rule.check_baselines({**runs, **named}))


def contradictions(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Pairs of limits that no value passes, and duplicate rules."""
    resolve = MetricNames(spec.metrics).canonical
    for (early, first), (late, second) in combinations(_bounds(card), 2):
        rules = card.kill_thresholds[early], card.kill_thresholds[late]
        same = resolve(first.metric) == resolve(second.metric)
        if same and first.over != second.over and _no_value_passes(first, second) and not _apart(*rules):
            message = f"contradicts kill_thresholds[{early}] ({rules[0].describe()}): every value fires one of the two"
            yield Remark(loc=("kill_thresholds", late, second.side), message=message)
    said: dict[tuple[str, str], int] = {}
    for index, rule in enumerate(card.kill_thresholds):
        earlier = said.setdefault((rule.describe(), f"{rule.action} {rule.set}"), index)
        if earlier != index:
            message = f"says the same as kill_thresholds[{earlier}]"
            yield Remark(loc=("kill_thresholds", index, rule.key), message=message, severity="warning")


def against_targets(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Rules that stop a run for reaching a target."""
    resolve = MetricNames(spec.metrics).canonical
    for index, bound in _bounds(card):
        for number, target in enumerate(card.targets):
            if resolve(bound.metric) != resolve(target.metric) or bound.side != side_of(target):
                continue
            looser = bound.limit <= target.limit if bound.over else bound.limit >= target.limit
            if looser:
                message = f"fires on every value that reaches targets[{number}] ({target_text(target)})"
                yield Remark(loc=("kill_thresholds", index, bound.side), message=message)


def _bounds(card: Card) -> Iterator[Place]:
    yield from ((index, rule.bound) for index, rule in enumerate(card.kill_thresholds) if rule.bound is not None)


def _below(index: int, remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Remarks of a rule about its keys, at their places in the card."""
    yield from (remark._replace(loc=("kill_thresholds", index, *remark.loc)) for remark in remarks)


def _values_in(card: Card, names: MetricNames, metric: str) -> tuple[Range, str]:
    """The values that a metric or a quantity can have in a run of the card, and the reason for the limit."""
    values, budget, timeout = range_of(metric, names), card.timing.budget, card.infra.timeout
    if metric == "cost" and budget is not None:
        return values._replace(upper=budget), f"the run ends at the budget of {format_dollars(budget)}"
    if metric == "wall_time" and timeout is not None:
        attempts = 1 + card.infra.retries
        times = f"{attempts} attempts of at most" if attempts > 1 else "an attempt ends after"
        why = f"{times} {format_duration(timeout)}, and only a resume adds to that"
        return values._replace(upper=timeout * attempts), why
    return values, f"it {values}"


def _no_value_passes(first: Bound, second: Bound) -> bool:
    return first.limit < second.limit if first.over else second.limit < first.limit


def _apart(first: Rule, second: Rule) -> bool:
    """Whether the scope of one of two rules is known to end before the other begins."""
    return _ends_before(first, second) or _ends_before(second, first)


def _ends_before(early: Rule, late: Rule) -> bool:
    end, begin = early.within, late.after or late.not_before
    return end is not None and begin is not None and end.unit == begin.unit and end.value < begin.value
