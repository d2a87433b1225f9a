"""Should the run go on? One file per rule; this is the table of them.

A rule is recognised by the key only it has, so that a card reads as a sentence:
``{metric: val_loss, not_decreasing_for: 2 epochs, action: stop}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from cardrunner.kill_rules.base import Action, Rule, Validation, Verdict
from cardrunner.kill_rules.event import EventRule
from cardrunner.kill_rules.metric_limit import MetricLimit
from cardrunner.kill_rules.not_decreasing import NotDecreasing

__all__ = [
    "Action",
    "EventRule",
    "KillRule",
    "MetricLimit",
    "NotDecreasing",
    "Rule",
    "Validation",
    "Verdict",
    "judge",
    "judge_event",
]

_SEVERITY: dict[Action, int] = {"warn": 0, "restart": 1, "investigate": 2, "stop": 3}


def _kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(value.__class__, "model_fields", ())
    for key in ("event", "not_decreasing_for"):
        if key in keys:
            return f"<{key}>"
    return "<limit>"


KillRule = Annotated[
    Annotated[EventRule, Tag("<event>")]
    | Annotated[NotDecreasing, Tag("<not_decreasing_for>")]
    | Annotated[MetricLimit, Tag("<limit>")],
    Discriminator(_kind),
]


def judge(rules: Sequence[Rule], history: Sequence[Validation]) -> tuple[Verdict, ...]:
    """Every verdict on the newest validation, the gravest first."""
    fired = (replace(found, rule=number) for number, rule in enumerate(rules) if (found := rule.verdict(history)))
    return tuple(sorted(fired, key=lambda verdict: -_SEVERITY[verdict.action]))


def judge_event(rules: Sequence[Rule], event: str, *, epoch: int, step: int) -> tuple[Verdict, ...]:
    """Every verdict on an event of the training loop, the gravest first."""
    fired = (
        replace(found, rule=number)
        for number, rule in enumerate(rules)
        if isinstance(rule, EventRule) and (found := rule.on_event(event, epoch=epoch, step=step))
    )
    return tuple(sorted(fired, key=lambda verdict: -_SEVERITY[verdict.action]))
