"""Kill thresholds in whole launches: exit code, state, what is left for this side, and the results card."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner import errors
from cardrunner.launching.finish import RunEnd
from cardrunner.launching.launch import LaunchOptions, launch, resume
from cardrunner.runs.ledger import Ledger
from cardrunner.tracking.progress import NullProgress
from tests.ledger_lines import recorded

MakeCard = Callable[..., Path]


def run(card: Path) -> RunEnd:
    return launch(card, LaunchOptions(), progress=NullProgress())


def go_on(ending: RunEnd, **options: Any) -> RunEnd:
    return resume(ending.folder, progress=NullProgress(), acknowledge=options.get("acknowledge"))


def page(ending: RunEnd) -> str:
    """The results card without the escapes of its markdown."""
    return re.sub(r"\\(.)", r"\1", ending.folder.results.read_text())


def test_a_stop_rule_about_going_on_lets_the_last_epoch_complete_the_run_with_its_download(make_card: MakeCard) -> None:
    rule = {"metric": "val_loss", "not_decreasing_for": "2 epochs", "min_delta": 10, "action": "stop"}
    ending = run(make_card({"kill_thresholds": [rule]}))
    assert (ending.exit_code, ending.status.state) == (0, "completed")
    assert (ending.folder.root.parents[1] / "out" / "toy-run.pt").is_file()
    text = page(ending)
    assert "val_loss not decreasing by 10 for 2 epochs: val_loss is" in text
    assert "→ stop; the last epoch was trained, so that nothing was left to stop" in text
    assert "| **yes, epoch 3** |" in text


def test_a_verdict_in_the_middle_of_an_epoch_pauses_the_run_until_it_is_acknowledged(make_card: MakeCard) -> None:
    rule = {"metric": "loss/total", "above": 0.1, "after": "5 steps", "action": "investigate", "why": "too high"}
    ending = run(make_card({"kill_thresholds": [rule]}))
    assert (ending.exit_code, ending.status.state, ending.status.last_durable_step) == (8, "investigate", 6)
    assert 'look into it, then `cardrunner resume toy-run --acknowledge "why it may go on"`' in str(
        ending.status.reason
    )
    assert "| **yes, step 6** | too high |" in page(ending)
    with pytest.raises(errors.RunPaused):
        go_on(ending)
    ending = go_on(ending, acknowledge="the limit is a typing error")
    assert (ending.exit_code, ending.status.state) == (0, "completed")
    assert len(recorded(Ledger(ending.folder.ledger), "verdict")) == 1
    assert "the limit is a typing error" in page(ending)


def test_a_run_that_a_rule_stopped_goes_on_only_when_somebody_says_why(make_card: MakeCard) -> None:
    rule = {"metric": "val_loss", "above": 0.1, "action": "stop"}
    ending = run(make_card({"kill_thresholds": [rule]}))
    assert ending.exit_code == 5
    with pytest.raises(errors.RunStopped, match=r"was stopped by the kill threshold val_loss > 0.1: .*--acknowledge"):
        go_on(ending)
    assert go_on(ending, acknowledge="the limit is a typing error").exit_code == 0


def test_a_run_whose_budget_is_spent_does_not_go_on(make_card: MakeCard) -> None:
    ending = run(make_card({"infra.price": "$3600/h", "timing.budget": "$1.10", "training.toy.step_ms": 60}))
    assert (ending.exit_code, ending.status.state) == (5, "stopped")
    assert ending.status.next is None
    before = len(recorded(Ledger(ending.folder.ledger)))
    with pytest.raises(errors.RunStopped, match=r"of its budget of \$1\.10 .*sign a card with a larger budget"):
        go_on(ending, acknowledge="all the same")
    assert len(recorded(Ledger(ending.folder.ledger))) == before


def test_an_answer_is_recorded_only_where_the_run_goes_on(make_card: MakeCard) -> None:
    rule = {"metric": "val_loss", "above": 0.1, "action": "investigate"}
    ending = run(make_card({"kill_thresholds": [rule]}))
    with pytest.raises(errors.UsageError, match="--detach: the inline executor"):
        resume(ending.folder, acknowledge="x", detach=True, progress=NullProgress())
    assert recorded(Ledger(ending.folder.ledger), "acknowledged") == []


def test_weights_that_are_no_numbers_restart_the_run_from_its_last_good_checkpoint(make_card: MakeCard) -> None:
    rule = {"event": "non_finite_weights", "action": "restart", "set": {"training.learning_rate": 0.001}}
    ending = run(make_card({"kill_thresholds": [rule], "training.toy.nan_at": 11}))
    assert (ending.exit_code, ending.status.state, ending.status.attempts) == (0, "completed", 1)
    (resumed,) = recorded(Ledger(ending.folder.ledger), "resumed")
    assert resumed["step"] == 8
    text = page(ending)
    assert "went on with training.learning_rate = 0.001" in text
    assert "| **yes, step 12** |" in text


def test_a_projection_beyond_the_budget_stands_in_the_results_card(make_card: MakeCard) -> None:
    money = {"infra.price": "$36/h", "timing.budget": "$0.05", "timing.epoch": "10 ms"}
    slow = {"training.toy.step_ms": 5, "training.epochs": 200, "training.log_every": "2 steps"}
    ending = run(make_card({**money, **slow, "timing.on_projected_overrun": "stop"}))
    assert (ending.exit_code, ending.status.state) == (5, "stopped")
    assert ending.status.projected_cost_usd is not None
    assert ending.status.projected_cost_usd > 0.05
    assert "beyond the budget of $0.05 (timing.budget) → stop" in page(ending)
