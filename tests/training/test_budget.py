"""Deadlines of time and money, and projections beyond them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.errors import RunPaused, RunStopped, TimedOut
from cardrunner.runs.history import Clock, HistoryRow
from cardrunner.training.budget import Overruns, RunLimits

ToyCard = Callable[..., LoadedCard]
BUDGET = {"infra.price": "$1/h", "timing.budget": "$1"}


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


def projected(step: int, dollars: float) -> HistoryRow:
    """A row at which the run is projected to cost so much in all."""
    seconds = 3600 * dollars
    clock = Clock(
        at="2026-03-01T12:00:00.000Z",
        seconds=1.0,
        total_seconds=1.0,
        projected_seconds=seconds,
        projected_cost_usd=dollars,
    )
    return HistoryRow(kind="train", epoch=1, step=step, examples=32 * step, learning_rate=0.1, metrics={}, clock=clock)


def endings(run: Any, *dollars: float) -> list[str | None]:
    """What each row of an attempt makes of the run."""
    overruns = Overruns(run.context())
    found = [overruns.row(projected(step, value)) for step, value in enumerate(dollars, start=1)]
    return [None if error is None else type(error).__name__ for error in found]


@pytest.mark.parametrize(("action", "ending"), [("stop", RunStopped), ("investigate", RunPaused)])
def test_the_third_row_in_a_row_that_is_projected_beyond_the_budget_acts(
    toy_run: Callable[..., Any], action: str, ending: type[Exception]
) -> None:
    run = toy_run({**BUDGET, "timing.on_projected_overrun": action})
    assert endings(run, 2, 2, 0.5, 2, 2, 2) == [None, None, None, None, None, ending.__name__]
    (event,) = run.events("projected_overrun")
    assert (event["step"], event["action"]) == (6, action)


def test_a_warning_of_a_projection_comes_with_the_third_row_and_once(toy_run: Callable[..., Any]) -> None:
    run = toy_run({**BUDGET, "timing.on_projected_overrun": "warn"})
    assert endings(run, 2, 2, 2, 2, 2, 2, 2) == [None] * 7
    assert [event["step"] for event in run.events("projected_overrun")] == [3]
