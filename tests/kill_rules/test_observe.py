"""What rules say they saw, for the results card, agrees with when they fire."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from cardrunner.kill_rules import EventRule, MetricLimit, NotDecreasing, Rule, Validation


def history(*values: float) -> list[Validation]:
    return [Validation(epoch=number, step=number * 10, metrics={"m": value}) for number, value in enumerate(values, 1)]


def not_decreasing(epochs: str, min_delta: float = 0.0) -> NotDecreasing:
    value = {"metric": "m", "not_decreasing_for": epochs, "min_delta": min_delta, "action": "stop"}
    return NotDecreasing.model_validate(value)


def test_a_limit_shows_the_value_and_the_room_that_is_left() -> None:
    seen = MetricLimit(metric="m", above=0.5, action="stop").observe(history(0.9, 0.25))
    assert seen is not None
    assert (seen.epoch, seen.value, seen.limit, seen.room, seen.metric) == (2, 0.25, 0.5, 0.25, "m")


def test_a_limit_sees_nothing_before_its_epoch_or_without_its_metric() -> None:
    assert (
        MetricLimit.model_validate({"metric": "m", "above": 0.5, "after": "2 epochs", "action": "stop"}).observe(
            history(0.9)
        )
        is None
    )
    assert MetricLimit(metric="other", above=0.5, action="stop").observe(history(0.9)) is None
    assert MetricLimit(metric="m", above=0.5, action="stop").observe([]) is None


@pytest.mark.parametrize(
    ("values", "idle"), [((3.0,), 0), ((3.0, 2.0), 0), ((3.0, 3.0), 1), ((3.0, 4.0, 5.0, 6.0), 2), ((3.0, 4.0, 1.0), 0)]
)
def test_not_decreasing_counts_validations_without_improvement(values: tuple[float, ...], idle: int) -> None:
    seen = not_decreasing("2 epochs").observe(history(*values))
    assert seen is not None
    assert (seen.value, seen.limit, seen.room) == (idle, 2, 2 - idle)


def test_an_event_rule_sees_nothing_in_validations() -> None:
    assert EventRule(event="out_of_memory", action="restart", set={"a": 1}).observe(history(1.0)) is None


numbers = st.one_of(st.floats(0, 4), st.just(math.nan))


@given(st.lists(numbers, min_size=1, max_size=8), st.integers(1, 3), st.sampled_from([0.0, 0.5]))
def test_no_room_is_left_exactly_when_a_rule_fires(values: list[float], epochs: int, min_delta: float) -> None:
    rules: list[Rule] = [
        not_decreasing(f"{epochs} epochs", min_delta),
        MetricLimit(metric="m", above=2.0, action="stop"),
        MetricLimit(metric="m", below=2.0, action="stop"),
    ]
    for rule in rules:
        seen, fired = rule.observe(history(*values)), rule.verdict(history(*values))
        assert seen is not None
        spent = not seen.room >= 0 if isinstance(rule, MetricLimit) else seen.room == 0
        assert spent == (fired is not None)
