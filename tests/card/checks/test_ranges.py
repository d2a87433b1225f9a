"""A number that meets a metric is a value that the metric can have, in every section of a card."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.errors import CardError
from cardrunner.specs import MetricSpec, Range

Toy = Callable[..., LoadedCard]
SHARE = "val_accuracy is a share, from 0% to 100%"


def rule(**fields: Any) -> dict[str, Any]:
    return {"kill_thresholds": [{"action": "warn", **fields}]}


def faults(toy_card: Toy, changes: dict[str, Any]) -> list[str]:
    with pytest.raises(CardError) as caught:
        toy_card(changes)
    return [f"{fault.path}: {fault.message}" for fault in caught.value.faults if fault.severity == "error"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"targets": [{"metric": "val_accuracy", "above": 99}]}, "targets[0].above"),
        ({"baselines": [{"run": "old", "metrics": {"val_accuracy": 99}}]}, "baselines[0].metrics.val_accuracy"),
        (rule(metric="val_accuracy", below=99), "kill_thresholds[0].below"),
        (rule(metric="val_accuracy", equals=99), "kill_thresholds[0].equals"),
    ],
)
def test_99_is_no_share_wherever_it_stands(toy_card: Toy, changes: dict[str, Any], place: str) -> None:
    assert faults(toy_card, changes) == [f"{place}: is 99, but {SHARE}; did you mean 99%?"]


def test_a_training_metric_and_an_alias_have_the_range_of_the_metric(toy_card: Toy) -> None:
    for name in ("metric/accuracy", "accuracy", "val_metric/accuracy"):
        (fault,) = faults(toy_card, rule(metric=name, below=95))
        assert fault.endswith(f"is 95, but {name} is a share, from 0% to 100%; did you mean 95%?")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"not_increasing_for": "1 epoch", "min_delta": 2},
            f"min_delta: is a difference of 2, but {SHARE}; did you mean 0.02?",
        ),
        (
            {"relative_to": "best", "below": -2},
            f"below: is a difference of -2, but {SHARE}; did you mean -0.02?",
        ),
    ],
)
def test_two_shares_differ_by_at_most_1(toy_card: Toy, fields: dict[str, Any], message: str) -> None:
    assert faults(toy_card, rule(metric="val_accuracy", **fields)) == [f"kill_thresholds[0].{message}"]


def test_a_difference_of_the_whole_range_is_odd(toy_card: Toy) -> None:
    card = toy_card(rule(metric="val_accuracy", not_increasing_for="1 epoch", min_delta=1))
    (warning,) = [fault for fault in card.warnings if fault.path == "kill_thresholds[0].min_delta"]
    assert warning.message == f"is a difference of 1, but {SHARE}; did you mean 0.01?"


def test_a_loss_is_never_below_0(toy_card: Toy) -> None:
    (fault,) = faults(toy_card, {"targets": [{"metric": "val_loss/total", "below": -1}]})
    assert fault == "targets[0].below: is -1, but val_loss/total is never below 0"


@pytest.mark.parametrize(
    ("target", "reachable"),
    [
        ({"metric": "val_accuracy", "above": "100%"}, False),
        ({"metric": "val_loss/total", "below": 0}, False),
        ({"metric": "val_accuracy", "above": 0.99}, True),
        ({"metric": "val_accuracy", "above": "99%"}, True),
        ({"metric": "val_loss/total", "below": 99}, True),
    ],
)
def test_a_target_at_the_end_of_the_range_is_never_reached(
    toy_card: Toy, target: dict[str, Any], reachable: bool
) -> None:
    said = [fault.message for fault in toy_card({"targets": [target]}).warnings]
    assert [message.startswith("can never be reached: ") for message in said] == ([] if reachable else [True])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"percent": True}, "is a share, from 0% to 100%"),
        ({"lower": 0.0, "upper": 1.0}, "lies from 0 to 1"),
        ({"lower": 0.0}, "is never below 0"),
        ({"upper": 5.0}, "is never above 5"),
        ({}, "may have any value"),
        ({"percent": True, "upper": math.inf}, "is never below 0"),
    ],
)
def test_a_metric_says_what_values_it_can_have(fields: dict[str, Any], words: str) -> None:
    assert str(MetricSpec(name="m", direction="max", unit="", meaning="", **fields).range) == words


def test_the_ends_of_a_range_belong_to_it_and_so_does_what_no_number_is() -> None:
    share = Range(0.0, 1.0, percent=True)
    assert [share.holds(value) for value in (0.0, 1.0, math.nan, math.inf, -0.01, 1.01)] == [True] * 4 + [False] * 2


@pytest.mark.parametrize(
    ("value", "guess"), [(1.1, ""), (2, "; did you mean 2%?"), (100, "; did you mean 100%?"), (101, ""), (-0.5, "")]
)
def test_a_percentage_without_its_sign_is_guessed(value: float, guess: str) -> None:
    found = Range(0.0, 1.0, percent=True).value_fault(value, "m")
    assert found == f"is {value:g}, but m is a share, from 0% to 100%{guess}"
