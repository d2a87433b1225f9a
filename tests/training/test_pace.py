"""How long the rest takes, what it costs, and what a projection beyond a limit does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.card.load import LoadedCard
from cardrunner.errors import RunPaused, RunStopped
from cardrunner.training.budget import Spending
from cardrunner.training.loop import Cursor
from cardrunner.training.rows import FORWARD_SHARE, Pace
from tests.ledger_lines import record

MakeRun = Callable[..., Any]
ToyCard = Callable[..., LoadedCard]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time of this process."""
    now = [0.0]
    monkeypatch.setattr("cardrunner.training.rows.time.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def test_a_pace_is_known_from_the_second_step_of_an_attempt_on(clock: Callable[[float], None]) -> None:
    pace = Pace(epochs=2, examples=100, validation_examples=0)
    cursor = Cursor(epoch=1, position=10)
    assert pace.seconds_left(cursor, validated=False) is None
    pace.step(cursor)  # a minute of warming up went into this one
    assert pace.seconds_left(cursor, validated=False) is None
    clock(5.0)
    cursor.position = 60
    assert pace.seconds_left(cursor, validated=False) == pytest.approx(14.0)  # 50 examples in 5 s, 140 to go
    cursor.position = 100
    clock(9.0)
    assert pace.seconds_left(cursor, validated=True) == pytest.approx(10.0)


def test_validations_count_as_work(clock: Callable[[float], None]) -> None:
    pace, cursor = Pace(epochs=1, examples=100, validation_examples=30), Cursor(epoch=1, position=0)
    pace.step(cursor)
    clock(10.0)
    cursor.position = 100
    assert pace.seconds_left(cursor, validated=False) == pytest.approx(10.0 * 30 * FORWARD_SHARE / 100)
    clock(16.0)
    assert pace.seconds_left(cursor, validated=True) == 0.0


def test_spending_counts_all_attempts_at_the_price_of_all_gpus(toy_card: ToyCard) -> None:
    priced = toy_card({"infra.gpu": "T4", "infra.gpus": 2, "infra.price": "$0.50/h"}).card
    spending = Spending.of(priced, began=time.monotonic() - 100.0, metered_seconds=3700.0)
    assert spending.seconds() == pytest.approx(3700.0, abs=1)
    assert spending.attempt_seconds() == pytest.approx(100.0, abs=1)
    assert spending.cost(3600.0) == pytest.approx(1.0)
    assert Spending.of(toy_card({}).card, began=0.0, metered_seconds=0.0).cost(3600.0) == 0.0


SLOW = {"training.toy.step_ms": 10, "training.log_every": "2 steps", "training.checkpoint_every": "4 steps"}


def test_every_row_after_the_first_steps_knows_what_the_whole_run_will_take(toy_run: MakeRun) -> None:
    run = toy_run({**SLOW, "infra.price": "$36/h"}).train()
    first, *_, last = [row.clock for row in run.rows]
    assert first.projected_seconds is not None
    assert first.total_seconds is not None
    assert first.projected_seconds > first.total_seconds + 0.2  # 22 of 24 steps to go
    assert last.projected_seconds == last.total_seconds
    assert last.cost_usd == pytest.approx(last.total_seconds / 100)
    assert first.projected_cost_usd == pytest.approx(first.projected_seconds / 100)
    assert [row.progress for row in run.rows[:5]] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert all(0 <= row.clock.wait_share <= 1 for row in run.rows if row.kind == "train")
    assert run.rows[-1].clock.trained_seconds == pytest.approx(run.record.train_seconds)


def overrun(**changes: Any) -> dict[str, Any]:
    return {**SLOW, "training.epochs": 100, "timing.epoch": "10 ms", **changes}


BUDGET = {"infra.price": "$90/h", "timing.budget": "$0.05"}  # two seconds


OVER_BUDGET = (BUDGET, "budget", "beyond the budget of $0.05 (timing.budget)")
OVERTIME = ({"infra.timeout": "2s"}, "timeout", "beyond the timeout of 2s (infra.timeout)")


@pytest.mark.parametrize(
    ("limits", "limit", "words", "action", "kind"),
    [
        (*OVER_BUDGET, "investigate", RunPaused),
        (*OVERTIME, "stop", RunStopped),
        pytest.param(*OVER_BUDGET, "stop", RunStopped, marks=pytest.mark.long),
        pytest.param(*OVERTIME, "investigate", RunPaused, marks=pytest.mark.long),
    ],
)
def test_a_projection_beyond_a_limit_ends_the_run_early_where_the_card_says_so(
    toy_run: MakeRun, limits: dict[str, str], limit: str, words: str, action: str, kind: type[Exception]
) -> None:
    run = toy_run(overrun(**limits, **{"timing.on_projected_overrun": action})).train()
    assert type(run.ended) is kind
    assert words in str(run.ended)
    (event,) = run.events("projected_overrun")
    assert (event["limit"], event["action"], event["step"]) == (limit, action, run.record.steps)
    assert max(entry.step for entry in run.manifest.entries) == run.record.steps <= 12
    record(run.context().ledger, "acknowledged", text="it will do")
    run.train()
    assert "projected" not in str(run.ended)  # the limit itself ends it, saved
    assert len(run.events("projected_overrun")) == 1


def test_by_default_a_projection_beyond_a_limit_is_told_once(toy_run: MakeRun) -> None:
    run = toy_run(overrun(**BUDGET)).train()
    (event,) = run.events("projected_overrun")
    assert event["action"] == "warn"
    assert "is projected to cost $" in event["message"]
    assert "the budget of $0.05 (timing.budget) is spent" in str(run.ended)


def test_a_crash_before_the_end_leaves_the_projection_told_once_and_it_ends_the_run(
    toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = toy_run(overrun(**BUDGET, **{"timing.on_projected_overrun": "stop"})).train()
    lines = run.folder.ledger.read_text().splitlines(keepends=True)
    run.folder.ledger.write_text("".join(line for line in lines if '"attempt_ended"' not in line))
    run.train()
    assert "is projected to cost" in str(run.ended)
    assert len(run.events("projected_overrun")) == 1


def test_a_run_within_its_limits_hears_nothing(toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    run = toy_run({**SLOW, "infra.timeout": "1h", "infra.price": "$36/h", "timing.budget": "$10"}).train()
    assert run.ended is None
    assert run.events("projected_overrun") == []
