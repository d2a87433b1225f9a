"""Checks of scopes: is there a moment at which each kill threshold could fire?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.estimate import batches_per_epoch
from cardrunner.card.schema.card import Card
from cardrunner.common import units
from cardrunner.common.units import Every
from cardrunner.kill_rules.base import Rule
from cardrunner.specs import Location, MetricNames, Remark

_SLACK = 1e-9
_AT_BOTH, _AT_LOG_POINTS = ("wall_time", "cost"), ("examples_per_second", "data_wait")


def scopes(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Rules that can never fire, at all or within the card's epochs."""
    if card.training.planned_epochs is None or card.training.log_interval is None:
        return  # when rows come is only seen in the run
    clock = _Clock(card, spec, epochs=card.training.planned_epochs, log_every=card.training.log_interval)
    for index, rule in enumerate(card.kill_thresholds):
        yield from _one(rule, ("kill_thresholds", index), clock)


class _Clock:
    """Converts spans to epochs, and gives the interval between rows."""

    def __init__(self, card: Card, spec: WorkloadSpec, *, epochs: int, log_every: Every) -> None:
        self.epochs, self._log_every = epochs, log_every
        self._names = MetricNames(spec.metrics)
        batches = batches_per_epoch(card, spec)
        self._steps = None if not batches else -(-batches // card.training.batches_per_step)

    def in_epochs(self, span: Every) -> float | None:
        """A span in epochs; None for a duration, and for steps if the steps per epoch are unknown."""
        if span.unit == "epoch":
            return span.value
        return span.value / self._steps if span.unit == "step" and self._steps else None

    def text(self, epochs: float, *, like: Every | None) -> str:
        """A number of epochs as text, in steps if the scope is written in steps."""
        if like is not None and like.unit == "step" and self._steps:
            return f"{round(epochs * self._steps)} steps"
        return _epochs(epochs)

    def cadence(self, rule: Rule) -> float | None:
        """Epochs between two rows that the rule judges; None if that depends on time."""
        at_log_points = rule.watches in _AT_LOG_POINTS or (
            self._names.training(rule.watches or "") is not None and not rule.by_epoch
        )
        logs = self.in_epochs(self._log_every)
        if rule.watches in _AT_BOTH:
            return None if logs is None else min(logs, 1.0)
        return logs if at_log_points else 1.0


def _one(rule: Rule, loc: Location, clock: _Clock) -> Iterator[Remark]:
    whole = f"the run has {_epochs(clock.epochs)}"
    for key in ("after", "not_before"):
        span = getattr(rule, key)
        begin = None if span is None else clock.in_epochs(span)
        if begin is not None and begin > clock.epochs:
            yield Remark(loc=(*loc, key), message=f"never fires: {whole}", severity="warning")
            return
        if span is not None and rule.within is not None and _longer(span, rule.within, clock):
            message = f"never fires: the rule ends before it begins, {key} {units.format_every(span)}"
            yield Remark(loc=(*loc, "within"), message=message)
            return
    if rule.watches is None or (earliest := _earliest(rule, clock)) is None:
        return
    end = None if rule.within is None else clock.in_epochs(rule.within)
    if end is not None and earliest > end + _SLACK:
        message = f"never fires: it could do so only after {clock.text(earliest, like=rule.within)}"
        yield Remark(loc=(*loc, "within"), message=message)
    elif earliest > clock.epochs + _SLACK:
        message = f"never fires: it needs {_epochs(earliest)} and the run has {clock.epochs}"
        yield Remark(loc=(*loc, rule.key), message=message, severity="warning")


def _earliest(rule: Rule, clock: _Clock) -> float | None:
    """The epochs trained when the rule could first fire; None if that depends on time."""
    cadence = clock.cadence(rule)
    begin = 0.0 if rule.after is None else clock.in_epochs(rule.after)
    late = 0.0 if rule.not_before is None else clock.in_epochs(rule.not_before)
    if cadence is None or begin is None or late is None:
        return None
    first = max(_rows(begin, cadence), 2 if rule.watches in _AT_LOG_POINTS else 1) + rule.needs_before
    return max(first, _rows(late, cadence)) * cadence


def _rows(epochs: float, cadence: float) -> int:
    return math.ceil(epochs / cadence - _SLACK)


def _longer(span: Every, end: Every, clock: _Clock) -> bool:
    if span.unit == end.unit:
        return span.value > end.value
    one, other = clock.in_epochs(span), clock.in_epochs(end)
    return one is not None and other is not None and one > other + _SLACK


def _epochs(count: float) -> str:
    return f"{count:.4g} epoch{'' if count == 1 else 's'}"
