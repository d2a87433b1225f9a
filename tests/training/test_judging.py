"""Every kind of rule with every action in a real run: undisturbed, resumed before and crashed around its verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

from cardrunner.errors import RestartWanted, RunPaused, RunStopped, Terminated
from cardrunner.kill_rules import judge_all
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import RuleFired
from cardrunner.runs.history import RuleRows, baselines_of
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import Manifest
from cardrunner.training.checkpoint import CheckpointStore
from cardrunner.workloads.toy.spec import METRICS
from tests.ledger_lines import record
from tests.stopping import StopAfter

MakeRun = Callable[..., Any]
Place = tuple[str, int]

CARD: dict[str, Any] = {
    "infra.price": "$36/h",
    "baselines": [{"run": "old", "metrics": {"val_accuracy": "50%"}}],
}
RULES: dict[str, dict[str, Any]] = {
    "a limit on a validation metric": {"metric": "val_loss", "above": 0.1, "after": "2 epochs"},
    "a limit on a training metric": {"metric": "loss/total", "above": 0.1, "after": "0.5 epochs"},
    "a metric that does not fall": {"metric": "val_loss", "not_decreasing_for": "1 epoch", "min_delta": 10},
    "a metric that does not rise": {"metric": "accuracy", "not_increasing_for": "1 epoch", "min_delta": 1},
    "a suspicious value": {"metric": "val_first_class_accuracy", "equals": "FOUND"},
    "off the best": {"metric": "metric/accuracy", "below": "0.99x", "relative_to": "best", "within": "2 epochs"},
    "a value off a baseline": {"metric": "accuracy", "below": 0.5, "relative_to": "old", "not_before": "9 steps"},
    "the time of an epoch": {"metric": "epoch_time", "above": "1 ms"},
    "examples per second": {"metric": "examples_per_second", "below": 1e12},
    "waiting for data": {"metric": "data_wait", "above": "0%", "within": "2 epochs"},
    "the wall time": {"metric": "wall_time", "above": "1 ms", "after": "10 steps"},
    "the cost": {"metric": "cost", "above": "$0", "after": "1.25 epochs"},
}  # fmt: skip
SPENDING = ("epoch_time", "examples_per_second", "data_wait", "wall_time", "cost")
ACTIONS = ("warn", "investigate", "stop", "restart")
CHANGES = {"training.learning_rate": 0.002}
ENDINGS = {"investigate": RunPaused, "stop": RunStopped, "restart": RestartWanted}
CASES = [
    (name, action)
    for name, action in product(RULES, ACTIONS)
    if not (action == "restart" and RULES[name]["metric"] in ("wall_time", "cost"))  # which no restart can lower
]


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No disk is lost here, and waiting for it takes most of a toy run."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def plain(shared_toy_run: MakeRun) -> Any:
    """The run that nobody disturbs, without rules."""
    return shared_toy_run(CARD, name="plain").train()


def changes_of(name: str, action: str, plain: Any) -> dict[str, Any]:
    fields = {**RULES[name], "action": action, **({"set": CHANGES} if action == "restart" else {})}
    if fields.get("equals") == "FOUND":
        second = [row for row in plain.rows if row.kind == "validation"][1]
        fields["equals"] = second.metrics["val_metric/first_class_accuracy"]
    return {**CARD, "kill_thresholds": [fields]}


def place_in(run: Any, plain: Any) -> Place:
    """Where the rule fires in the undisturbed history."""
    card = run.context().card
    run.attempts -= 1
    run.folder.ledger.write_text("")
    rows = RuleRows(METRICS).rows(plain.rows)
    moments = judge_all(card.kill_thresholds, rows, baselines=baselines_of(card, METRICS))
    return next((verdict.kind, verdict.step) for moment in moments for verdict in moment.verdicts)


def verdicts(run: Any) -> list[tuple[Place, str]]:
    return [((event["kind"], event["step"]), event["action"]) for event in run.events("verdict")]


def finish(run: Any, action: str) -> None:
    """Answer the verdict as people and the pipeline do, and train to the end."""
    ledger: Ledger = Ledger(run.folder.ledger)
    if action in ("stop", "investigate"):
        record(ledger, "acknowledged", text="we looked")
    if action == "restart":
        record(ledger, "restarted", attempt=run.attempts, reason="", set=CHANGES)
    run.train(changes=CHANGES if action == "restart" else None)


def check_end(run: Any, plain: Any, action: str, place: Place) -> None:
    """The verdict stands once in the ledger; what came of the run is what the action says."""
    assert verdicts(run)[:1] == [(place, action)]
    steps = [(row.kind, row.step) for row in run.rows]
    assert len(steps) == len(set(steps))
    if action == "restart":
        assert run.ended is None or "has been made already" in str(run.ended)
        return
    assert len(verdicts(run)) == 1
    assert run.ended is None
    assert run.facts() == plain.facts()
    assert run.record.weights_sha256 == plain.record.weights_sha256


@pytest.mark.parametrize(("name", "action"), CASES, ids=lambda value: str(value))
def test_a_rule_fires_where_its_condition_comes_true(toy_run: MakeRun, plain: Any, name: str, action: str) -> None:
    run = toy_run(changes_of(name, action, plain))
    place = place_in(run, plain)
    run.train()
    assert verdicts(run) == [(place, action)]
    if action != "warn":
        assert type(run.ended) is ENDINGS[action]
        assert run.record.steps == max(entry.step for entry in run.manifest.entries) == place[1]
        assert run.facts() == plain.facts()[: len(run.rows)]
        finish(run, action)
    check_end(run, plain, action, place)


@contextmanager
def crash(monkeypatch: pytest.MonkeyPatch, moment: str) -> Iterator[None]:
    """Lose the process before the verdict is written, after it, or after the checkpoint that follows."""
    append, save, seen = Ledger.append, CheckpointStore.save, list[str]()

    def append_and_die(self: Ledger, event: Event) -> None:
        if isinstance(event, RuleFired) and moment == "before the verdict":
            raise Crash
        append(self, event)
        seen.append(event.event)
        if isinstance(event, RuleFired) and moment == "after the verdict":
            raise Crash

    def save_and_die(self: CheckpointStore, *arguments: Any) -> Manifest:
        saved = save(self, *arguments)
        if "verdict" in seen and moment == "after the checkpoint":
            raise Crash
        return saved

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append", append_and_die)
        patched.setattr(CheckpointStore, "save", save_and_die)
        with pytest.raises(Crash):
            yield


MOMENTS = ("before the verdict", "after the verdict", "after the checkpoint")
CRASHES = [(name, action, MOMENTS[number % 3]) for number, (name, action) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "action", "moment"), CRASHES, ids=lambda value: str(value))
def test_a_rule_fires_at_the_same_row_and_once_when_the_run_is_resumed_before_it_and_crashes_around_it(
    toy_run: MakeRun, plain: Any, monkeypatch: pytest.MonkeyPatch, name: str, action: str, moment: str
) -> None:
    run = toy_run(changes_of(name, action, plain))
    place, timed = place_in(run, plain), RULES[name]["metric"] in SPENDING
    run.train(stop=StopAfter(2 + max(1, min(place[1] - 2, 7))))  # 2 looks are in the baselines
    assert type(run.ended) is Terminated
    with crash(monkeypatch, moment):
        run.train()
    run.train()
    assert timed or verdicts(run) == [(place, action)]
    place = verdicts(run)[0][0]  # by a clock it may be another row
    if action != "warn":
        assert type(run.ended) is ENDINGS[action]
        finish(run, action)
    check_end(run, plain, action, place)
