"""Replaying a history against the rules of a card."""

from __future__ import annotations

import math
from typing import NamedTuple

from cardrunner.card.load import LoadedCard
from cardrunner.histories.read import FoundHistory
from cardrunner.kill_rules import Observation, Verdict, judge_all
from cardrunner.runs.history import baselines_of
from cardrunner.specs import MetricNames


class Fired(NamedTuple):
    """A verdict, and what it would have done."""

    verdict: Verdict
    ends: bool
    """The run would have ended here; later verdicts apply to a run that was let go on."""


class Watching(NamedTuple):
    """What a rule saw over the whole history."""

    looked_at: int
    """Rows."""
    closest: Observation | None
    judged: bool = True
    """Whether it was asked: not where the history has values that its metric cannot have."""


class Rehearsal(NamedTuple):
    """Every verdict in the order of the history, and what each rule saw."""

    fired: tuple[Fired, ...]
    rules: tuple[Watching, ...]


def rehearse(loaded: LoadedCard, history: FoundHistory) -> Rehearsal:
    """Evaluate every rule at every row. Restarts are not simulated: the history keeps the values it was made with."""
    rules, whole = loaded.card.kill_thresholds, loaded.card.training.whole
    fired, seen = list[Fired](), [list[Observation]() for _ in rules]
    for moment in judge_all(rules, history.rows, baselines=baselines_of(loaded.card, loaded.spec.metrics)):
        for number, observation in enumerate(moment.seen):
            seen[number] += [] if observation is None else [observation]
        for verdict in moment.verdicts:
            rule = rules[verdict.rule]
            trained = whole is not None and moment.row.progress >= whole
            moot = rule.moot_when_trained and verdict.action != "investigate" and trained
            if verdict.action != "restart" or not any(one.verdict.rule == verdict.rule for one in fired):
                fired.append(Fired(verdict, verdict.action != "warn" and not moot))
    canonical = MetricNames(loaded.spec.metrics).canonical
    judged = (canonical(rule.watches or "") not in history.unfit for rule in rules)
    watching = (Watching(len(found), _closest(found), fit) for found, fit in zip(seen, judged, strict=True))
    return Rehearsal(tuple(fired), tuple(watching))


def _closest(found: list[Observation]) -> Observation | None:
    """The observation nearest to the limit; of several the latest."""
    return min(found[::-1], key=lambda seen: -math.inf if math.isnan(seen.room) else seen.room, default=None)
