"""Rules as a card writes them, and histories in short."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter

from cardrunner.kill_rules import KillRule, Row, Rule, RuleHistory, judge_all

READER: TypeAdapter[Rule] = TypeAdapter(KillRule)


def make_rule(**fields: Any) -> Rule:
    return READER.validate_python({"action": "stop", **fields})


def make_validations(*values: float, name: str = "m", steps: int = 10) -> list[Row]:
    """One validation an epoch."""
    return [
        Row("validation", epoch, epoch * steps, float(epoch), epoch * 60.0, {name: value})
        for epoch, value in enumerate(values, 1)
    ]


def make_log_points(*values: float, name: str = "m", epoch: int = 4) -> list[Row]:
    """A log point every step, so many steps an epoch, a minute each."""
    return [
        Row("train", (step - 1) // epoch + 1, step, step / epoch, step * 60.0, {name: value})
        for step, value in enumerate(values, 1)
    ]


def find_fired(
    rule: Rule, rows: Iterable[Row], baselines: Mapping[str, Mapping[str, float]] | None = None
) -> list[int]:
    """The steps at which it fires."""
    return [verdict.step for moment in judge_all([rule], rows, baselines=baselines) for verdict in moment.verdicts]


def grown(rows: Iterable[Row]) -> RuleHistory:
    return RuleHistory(rows)


Make = Callable[..., Any]


@pytest.fixture
def rule() -> Make:
    """A rule: ``rule(metric="m", above=1)``; it stops."""
    return make_rule


@pytest.fixture
def validations() -> Make:
    """``validations(3.0, 2.0)``: two epochs of ten steps."""
    return make_validations


@pytest.fixture
def log_points() -> Make:
    """``log_points(3.0, 2.0)``: steps 1 and 2 of an epoch of four."""
    return make_log_points


@pytest.fixture
def fired() -> Make:
    """``fired(rule, rows)``: the steps at which it fires."""
    return find_fired
