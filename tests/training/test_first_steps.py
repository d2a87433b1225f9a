from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.runs.heartbeat import read_heartbeat

ToyRuns = Callable[..., Any]


@pytest.mark.parametrize(
    ("changes", "step"), [({}, 2), ({"training.log_every": "1 step"}, 2), ({"training.batch_size": 256}, 1)]
)
def test_an_attempt_says_once_that_its_first_batches_are_done(
    toy_run: ToyRuns, changes: dict[str, Any], step: int
) -> None:
    run = toy_run(changes).train()
    (event,) = run.events("training")
    assert (event["attempt"], event["step"]) == (1, step)
    assert math.isfinite(event["loss"])
    assert event["examples_per_second"] > 0


def test_it_changes_nothing_of_the_history(toy_run: ToyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = toy_run(name="watched").train()
    monkeypatch.setattr("cardrunner.training.first_steps.Signs.after_step", lambda self: None)
    alone = toy_run(name="alone").train()
    assert watched.facts() == alone.facts()
    assert watched.record.weights_sha256 == alone.record.weights_sha256
    assert alone.events("training") == []


def test_a_loss_that_is_not_a_number_is_no_proof_to_be_proud_of_but_is_told(toy_run: ToyRuns) -> None:
    run = toy_run({"training.toy.nan_at": 1}).train()
    (event,) = run.events("training")
    assert math.isnan(event["loss"])


def test_the_pulse_says_how_far_it_came(toy_run: ToyRuns) -> None:
    run = toy_run().train()
    seen = read_heartbeat(run.folder.heartbeat)
    assert seen is not None
    assert (seen.attempt, seen.step > 0, seen.examples > 0) == (1, True, True)


def test_a_validation_shows_that_it_lives_too(toy_run: ToyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []
    monkeypatch.setattr("cardrunner.runs.heartbeat.Heartbeat.beat", lambda self, *, step, **_: beats.append(step))
    toy_run({"training.epochs": 1}).train()
    assert beats.count(8) == 3  # the last step, and two batches of the validation
