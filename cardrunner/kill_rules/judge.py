"""Evaluate every rule: at the newest row, on an event, or along a whole history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cardrunner.kill_rules.base import Action, Observation, Rule, Verdict
from cardrunner.kill_rules.history import Baselines, Row, RuleHistory

_SEVERITY: dict[Action, int] = {"warn": 0, "restart": 1, "investigate": 2, "stop": 3}


def judge(rules: Sequence[Rule], watched: RuleHistory) -> tuple[Verdict, ...]:
    """Every verdict on the newest row, the most severe action first."""
    return _gravest_first(rule.verdict(watched) for rule in rules)


def judge_event(rules: Sequence[Rule], event: str, at: Row) -> tuple[Verdict, ...]:
    """Every verdict on an event of the training loop, the most severe action first.

    Args:
        rules: rules of any kind; only those about events can fire.
        event: see `cardrunner.kill_rules.event.Event`.
        at: the moment; its kind is event.
    """
    return _gravest_first(rule.on_event(event, at) for rule in rules)


class Moment(NamedTuple):
    """A row of a history, what each rule saw there, and the verdicts."""

    row: Row
    seen: tuple[Observation | None, ...]
    verdicts: tuple[Verdict, ...]


def judge_all(rules: Sequence[Rule], rows: Iterable[Row], *, baselines: Baselines | None = None) -> Iterator[Moment]:
    """Judge a whole history, row by row."""
    watched = RuleHistory(baselines=baselines)
    for row in rows:
        watched.add(row)
        yield Moment(row, tuple(rule.observe_newest(watched) for rule in rules), judge(rules, watched))


def _gravest_first(found: Iterable[Verdict | None]) -> tuple[Verdict, ...]:
    verdicts = (verdict._replace(rule=number) for number, verdict in enumerate(found) if verdict is not None)
    return tuple(sorted(verdicts, key=lambda verdict: -_SEVERITY[verdict.action]))
