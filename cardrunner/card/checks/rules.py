"""Kill thresholds: do they make sense, with each other, with the baselines and the targets?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

from cardrunner.card.checks.metrics import baseline_value, direction_of, side_of, target_text
from cardrunner.card.schema.card import Card
from cardrunner.kill_rules.base import Rule
from cardrunner.kill_rules.limits import MetricLimit, Sided
from cardrunner.kill_rules.quantities import QUANTITIES
from cardrunner.kill_rules.stalled import Stalled
from cardrunner.specs import Direction, Location, MetricNames, Remark, WorkloadSpec
from cardrunner.units import format_dollars, format_duration

Limited = tuple[int, Sided, float]
"""A rule with a fixed limit: its place in the card, itself, the limit."""


def directions(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A rule fires on the worse side of its metric."""
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index)
        better = None if rule.watches is None else direction_of(card, spec, rule.watches)
        if better and isinstance(rule, Stalled) and rule.improves != better:
            yield Remark(loc=(*loc, rule.key), message=_other_way(rule, better))
        if better and isinstance(rule, Sided) and rule.over == (better == "max"):
            way = "smaller" if better == "min" else "larger"
            message = f"{rule.metric} is better when {way}: this fires when it is good"
            yield Remark(loc=(*loc, rule.side), message=message, severity="warning")


def quantities(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """What the run measures of itself has limits, and money has a price."""
    del spec
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index, "metric")
        if rule.watches in QUANTITIES and not isinstance(rule, Sided):
            message = f"{rule.watches} is measured of the run; give it above, below or relative_to"
            yield Remark(loc=loc, message=message)
        if rule.watches == "cost" and card.infra.price is None:
            yield Remark(loc=loc, message="cannot be metered without infra.price; state the price per hour")


def out_of_reach(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Limits that no value is beyond, or every value."""
    names = MetricNames(spec.metrics)
    for index, rule, limit in _limited(card):
        low, high, why = _range(card, names, rule.metric)
        if not (limit < high if rule.over else limit > low):
            message = f"never fires: {why}"
        elif limit <= low if rule.metric in QUANTITIES and rule.over else (limit < low if rule.over else limit > high):
            message = "fires at once: every value is beyond that"
        else:
            continue
        yield Remark(loc=("kill_thresholds", index, rule.side), message=message, severity="warning")


def tighter_than_baseline(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A threshold that the baseline it names would not pass."""
    for index, rule in enumerate(card.kill_thresholds):
        if not isinstance(rule, MetricLimit):
            continue
        value = baseline_value(card, spec, rule.baseline, rule.metric)
        if value is not None and (value > rule.limit if rule.over else value < rule.limit):
            message = f"{rule.limit:g} is tighter than {rule.baseline}, which has {value:g}: that run would not pass"
            yield Remark(loc=("kill_thresholds", index, rule.side), message=message, severity="warning")


def references(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A limit relative to the best so far lies on its worse side; and best is no run."""
    del spec
    runs = {baseline.run for baseline in card.baselines}
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index)
        if not isinstance(rule, Sided) or (tried := rule.on_the_best()) is None:
            continue
        if "best" in runs:
            message = "is the best value so far, and a baseline is called best too; rename the baseline"
            yield Remark(loc=(*loc, "relative_to"), message=message)
        if tried:
            worse = "1.1x or 0.02" if rule.over else "0.9x or -0.02"
            yield Remark(loc=(*loc, rule.side), message=f"fires even on a new best; write something like {worse}")


def contradictions(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Two limits that no value passes, and rules that stand twice."""
    resolve = MetricNames(spec.metrics).canonical
    limited = list(_limited(card))
    for (early, first, low), (late, second, high) in combinations(limited, 2):
        same = resolve(first.metric) == resolve(second.metric)
        if same and first.over != second.over and _no_value_passes(first, low, high) and not _apart(first, second):
            message = f"contradicts kill_thresholds[{early}] ({first.describe()}): every value fires one of the two"
            yield Remark(loc=("kill_thresholds", late, second.side), message=message)
    said: dict[tuple[str, str], int] = {}
    for index, rule in enumerate(card.kill_thresholds):
        earlier = said.setdefault((rule.describe(), f"{rule.action} {rule.set}"), index)
        if earlier != index:
            side = (rule.side,) if isinstance(rule, Sided) else ()
            message = f"says the same as kill_thresholds[{earlier}]"
            yield Remark(loc=("kill_thresholds", index, *side), message=message, severity="warning")


def against_targets(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A rule that stops a run for reaching a target."""
    resolve = MetricNames(spec.metrics).canonical
    for index, rule, limit in _limited(card):
        for number, target in enumerate(card.targets):
            if resolve(rule.metric) != resolve(target.metric) or rule.side != side_of(target):
                continue
            looser = limit <= target.limit if rule.over else limit >= target.limit
            if looser:
                message = f"fires on every value that reaches targets[{number}] ({target_text(target)})"
                yield Remark(loc=("kill_thresholds", index, rule.side), message=message)


def _limited(card: Card) -> Iterator[Limited]:
    for index, rule in enumerate(card.kill_thresholds):
        if isinstance(rule, Sided) and (limit := rule.limit) is not None:
            yield index, rule, limit


def _range(card: Card, names: MetricNames, metric: str) -> tuple[float, float, str]:
    """Between which values a metric or a quantity of a run lies, and why it does."""
    budget, timeout = card.timing.budget, card.infra.timeout
    if metric == "cost" and budget is not None:
        return 0.0, budget, f"the run ends at the budget of {format_dollars(budget)}"
    if metric == "wall_time" and timeout is not None:
        attempts = 1 + card.infra.retries
        times = f"{attempts} attempts of at most" if attempts > 1 else "an attempt ends after"
        return 0.0, timeout * attempts, f"{times} {format_duration(timeout)}, and only a resume adds to that"
    found = names.spec(metric) or names.training(metric)
    if metric == "data_wait" or (found is not None and found.percent):
        return 0.0, 1.0, "it is a share, from 0% to 100%"
    return (0.0 if metric in QUANTITIES else -math.inf), math.inf, "no value is below 0"


def _other_way(rule: Stalled, better: Direction) -> str:
    moves, other = ("rise", "not_increasing_for") if better == "max" else ("fall", "not_decreasing_for")
    return f"{rule.metric} should {moves}; write {other}"


def _no_value_passes(first: Sided, low: float, high: float) -> bool:
    return low < high if first.over else high < low


def _apart(first: Rule, second: Rule) -> bool:
    """Whether one of two rules has stopped looking before the other begins, where that can be told."""
    return _ends_before(first, second) or _ends_before(second, first)


def _ends_before(early: Rule, late: Rule) -> bool:
    end, begin = early.within, late.after or late.not_before
    return end is not None and begin is not None and end.unit == begin.unit and end.value < begin.value
