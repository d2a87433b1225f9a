"""What verdicts do to a run beyond the common way: the last epoch, events, restarts, several rules at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.errors import RestartWanted, RunPaused, RunStopped
from cardrunner.runs.events import Acknowledged, AttemptEnded, Restarted, RuleFired
from cardrunner.runs.ledger import Ledger
from cardrunner.training.judging import Known
from tests.ledger_lines import made, record

MakeRun = Callable[..., Any]
NEVER_FALLS = {"metric": "val_loss", "not_decreasing_for": "2 epochs", "min_delta": 10}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def rules(*fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"kill_thresholds": list(fields), **changes}


def verdicts(run: Any) -> list[tuple[int, str, int]]:
    return [(event["rule"], event["kind"], event["step"]) for event in run.events("verdict")]


# ------------------------------------------------------------ the last epoch


@pytest.mark.parametrize(
    "rule",
    [
        NEVER_FALLS | {"action": "stop"},
        {"metric": "wall_time", "above": "1 ms", "after": "24 steps", "action": "stop"},
        NEVER_FALLS | {"action": "restart", "set": {"training.learning_rate": 0.1}},
    ],
)
def test_a_rule_about_going_on_lets_a_run_complete_whose_last_epoch_is_trained(
    toy_run: MakeRun, rule: dict[str, Any]
) -> None:
    run = toy_run(rules(rule)).train()
    assert run.ended is None
    assert run.record.epochs_done == 3
    (event,) = run.events("verdict")
    assert (event["step"], event["action"], event["moot"]) == (24, rule["action"], True)
    assert run.train().ended is None  # and so it stays


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (NEVER_FALLS | {"action": "investigate"}, RunPaused),
        ({"metric": "val_loss", "above": 0.1, "after": "3 epochs", "action": "stop"}, RunStopped),
    ],
)
def test_other_verdicts_count_after_the_last_epoch_too(
    toy_run: MakeRun, rule: dict[str, Any], kind: type[Exception]
) -> None:
    assert type(toy_run(rules(rule)).train().ended) is kind


def test_a_stop_before_the_last_epoch_stops(toy_run: MakeRun) -> None:
    run = toy_run(rules(NEVER_FALLS | {"action": "stop"}, **{"training.epochs": 4})).train()
    assert type(run.ended) is RunStopped
    assert run.record.epochs_done == 3


# ------------------------------------------------------------ numbers that are none


def rearm(run: Any) -> None:
    """Let the fault strike again."""
    for mark in run.folder.scratch.glob("toy-*"):
        mark.unlink()


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"metric": "loss/total", "non_finite": True}, "train"),
        ({"event": "non_finite_loss"}, "event"),
        ({"event": "non_finite_weights"}, "event"),
    ],
)
@pytest.mark.parametrize("action", ["warn", "investigate", "stop", "restart"])
def test_numbers_that_are_none_are_noticed_at_the_next_log_point(
    toy_run: MakeRun, rule: dict[str, Any], kind: str, action: str
) -> None:
    changes = {"set": {"training.learning_rate": 0.001}} if action == "restart" else {}
    run = toy_run(rules(rule | {"action": action} | changes, **{"training.toy.nan_at": 11})).train()
    assert verdicts(run) == [(0, kind, 12)]
    if action == "warn":  # which is no reason to go on with spoiled weights
        assert "the weights are not finite at step 12" in str(run.ended)
        return
    assert type(run.ended) is {"investigate": RunPaused, "stop": RunStopped, "restart": RestartWanted}[action]
    assert max(entry.step for entry in run.manifest.entries) == 8  # nothing spoiled was saved
    told = {"restart": ("restarted", changes)}.get(action, ("acknowledged", {"text": "we looked"}))
    record(run.context().ledger, told[0], **told[1])
    run.train(changes=changes.get("set"))
    assert run.ended is None
    assert run.record.steps == 24


def test_a_restart_that_does_not_help_ends_the_run(toy_run: MakeRun) -> None:
    rule = {"event": "non_finite_weights", "action": "restart", "set": {"training.learning_rate": 0.001}}
    run = toy_run(rules(rule, **{"training.toy.nan_at": 11})).train()
    record(run.context().ledger, "restarted", attempt=2, reason="", set=rule["set"])
    rearm(run)
    run.train(changes=rule["set"])
    assert type(run.ended) is RunStopped
    assert "the restart it asks for has been made already" in str(run.ended)


def test_an_acknowledged_loss_that_is_no_number_still_ends_the_run_where_it_comes_again(toy_run: MakeRun) -> None:
    rule = {"event": "non_finite_weights", "action": "investigate"}
    run = toy_run(rules(rule, **{"training.toy.nan_at": 11})).train()
    record(run.context().ledger, "acknowledged", text="try again")
    rearm(run)
    run.train()
    assert type(run.ended) is RunStopped
    assert "the weights are not finite at step 12" in str(run.ended)
    assert len(run.events("verdict")) == 1


# ------------------------------------------------------------ restarts


def test_out_of_memory_goes_down_a_ladder_of_restarts_and_then_splits(toy_run: MakeRun) -> None:
    ladder = [{"event": "out_of_memory", "action": "restart", "set": {"training.batch_size": size}} for size in (16, 8)]
    run, changes = toy_run(rules(*ladder, **{"training.toy.oom_at": 5})).train(), dict[str, Any]()
    for size in (16, 8):
        assert isinstance(run.ended, RestartWanted)
        assert run.ended.changes == {"training.batch_size": size}
        record(run.context().ledger, "restarted", attempt=run.attempts, reason="", set=run.ended.changes)
        changes |= run.ended.changes
        rearm(run)
        run.train(changes=changes)
    assert run.ended is None
    assert [split.pieces for split in run.record.splits] == [2]


# ------------------------------------------------------------ several at once


def test_the_gravest_of_several_verdicts_counts_and_all_are_recorded(toy_run: MakeRun) -> None:
    limit = {"metric": "val_loss", "above": 0.1}
    run = toy_run(rules(limit | {"action": "warn"}, limit | {"above": 0.2, "action": "stop"},
                        limit | {"above": 0.15, "action": "investigate"})).train()  # fmt: skip
    assert type(run.ended) is RunStopped
    assert verdicts(run) == [(1, "validation", 8), (2, "validation", 8), (0, "validation", 8)]


def test_a_verdict_at_the_end_of_an_epoch_that_is_logged_waits_for_the_validation(toy_run: MakeRun) -> None:
    rule = {"metric": "loss/total", "above": 0.1, "action": "stop"}
    run = toy_run(rules(rule, **{"training.log_every": "1 epoch"})).train()
    assert type(run.ended) is RunStopped
    assert verdicts(run) == [(0, "train", 8)]
    assert [(row.kind, row.step) for row in run.rows] == [("train", 8), ("validation", 8)]
    assert run.record.epochs_done == 1
    record(Ledger(run.folder.ledger), "acknowledged", text="it may go on")
    assert run.train().ended is None


def test_a_stop_that_the_ledger_does_not_tell_of_is_kept_in_the_saved_state(toy_run: MakeRun) -> None:
    rule = {"metric": "val_loss", "above": 0.1, "after": "2 epochs", "action": "stop"}
    run = toy_run(rules(rule)).train()
    ledger = Ledger(run.folder.ledger)
    lines = [line for line in ledger.lines() if '"verdict"' not in line and '"attempt_ended"' not in line]
    ledger.path.write_text("".join(f"{line}\n" for line in lines))
    told = "according to its saved state, the run was stopped by the kill threshold val_loss > 0.1 .*; .*--acknowledge"
    for _ in range(2):
        assert re.match(told, str(run.train().ended))
    record(ledger, "acknowledged", text="it may go on")
    assert run.train().ended is None


def test_verdicts_are_settled_by_what_came_of_them() -> None:
    verdict = RuleFired(attempt=1, rule=0, kind="train", step=6, action="stop")
    place = (0, "train", 6)
    for state in ("interrupted", "failed"):  # it was recorded, and then something else ended the attempt
        ended = made("attempt_ended", attempt=1, state=state, exit_code=7)
        assert set(Known.of([verdict, ended]).open) == {place}
    for event in (AttemptEnded(attempt=1, state="stopped", exit_code=5), Acknowledged(text="we looked")):
        known = Known.of([verdict, event])
        assert (known.open, known.settled, known.standing) == ({}, {place}, {0: 6})
    assert Known.of([verdict, Restarted()]) == Known()
    assert Known.of([verdict.model_copy(update={"moot": True})]).settled == {place}
