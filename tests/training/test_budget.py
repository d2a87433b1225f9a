"""Deadlines of time and money."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cardrunner.card.load import LoadedCard
from cardrunner.errors import RunStopped, TimedOut
from cardrunner.training.budget import RunLimits

ToyCard = Callable[..., LoadedCard]


def reached(
    toy_card: ToyCard, changes: dict[str, Any], *, attempt: float = 0.0, metered: float = 0.0
) -> RunStopped | None:
    return RunLimits.of(toy_card(changes).card, attempt_seconds=attempt, metered_seconds=metered).reached()


def test_without_limits_nothing_is_ever_reached(toy_card: ToyCard) -> None:
    assert reached(toy_card, {}, attempt=1e9, metered=1e9) is None


def test_the_timeout_counts_from_the_beginning_of_the_attempt_and_leaves_time_to_save(toy_card: ToyCard) -> None:
    changes = {"infra.timeout": "1h"}
    assert reached(toy_card, changes, attempt=3565, metered=1e6) is None
    found = reached(toy_card, changes, attempt=3571)
    assert isinstance(found, TimedOut)
    assert "the timeout of 1h (infra.timeout)" in str(found)


def test_the_budget_counts_all_attempts_and_all_gpus(toy_card: ToyCard) -> None:
    changes = {"infra.gpu": "T4", "infra.gpus": 2, "infra.price": "$0.50/h", "timing.budget": "$2"}
    assert reached(toy_card, changes, metered=7190) is None
    found = reached(toy_card, changes, metered=7210)
    assert found is not None
    assert not isinstance(found, TimedOut)
    assert "the budget of $2.00 (timing.budget)" in str(found)


def test_what_costs_nothing_has_no_bill(toy_card: ToyCard) -> None:
    assert reached(toy_card, {"infra.price": "$0/h", "timing.budget": "$1"}, metered=1e9) is None
