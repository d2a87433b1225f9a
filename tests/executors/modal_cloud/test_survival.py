"""Runs that lose their containers in every way there is, and end as if nothing had happened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.modal_plane.cloud import Cloud
from tests.modal_plane.plane import Happening, Plane

TWO_HOURS = 7200.0
EPOCHS = 8
SLOW = {"training.epochs": EPOCHS, "training.toy.step_ms": 60}


@pytest.fixture(scope="module")
def undisturbed(modal_plane: Plane, zygote: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights that the same training comes to on this machine, with nothing in its way."""
    cloud = Cloud(modal_plane, zygote, tmp_path_factory.mktemp("undisturbed"))
    return cloud.weights_here(cloud.card(SLOW))


def test_whatever_happens_to_its_container_in_any_epoch_changes_nothing(cloud: Cloud, undisturbed: str) -> None:
    card = cloud.card(SLOW)
    happenings: list[Happening] = ["preempted", "lost", "timed out", "preempted", "lost"]
    cloud.plane.script(cloud.volume, card.stem, *((8 * epoch, what) for epoch, what in enumerate(happenings, start=1)))
    call = cloud.launched(card)
    cloud.plane.wait(lambda: call.is_over)
    assert call.attempts == ["preempted", "lost", "timeout", "preempted", "lost", "success"], cloud.events(card.stem)
    assert cloud.weights(card.stem) == undisturbed
    states = [event["state"] for event in cloud.events(card.stem, "attempt_ended")]
    assert states == ["interrupted"] * 3 + ["completed"]  # the lost ones had no last word
    told = [event["message"].split(":")[0] for event in cloud.events(card.stem, "warning")]
    assert told == [
        "Modal takes the machine back",
        "Modal ends this container, because its time is up or the call was cancelled",
        "Modal takes the machine back",
    ]
    assert cloud.status(card.stem)["damage"] == []


def test_what_a_lost_container_had_not_committed_is_gone_and_trained_again(cloud: Cloud) -> None:
    card = cloud.card({"training.epochs": 8, "training.toy.step_ms": 40})
    with cloud.plane.trouble(skews=[0.0, TWO_HOURS, -TWO_HOURS]) as faults:  # of the probe and the two trainers
        cloud.plane.at_step(cloud.volume, card.stem, 8, lambda: setattr(faults, "forget", True))
        call = cloud.launched(card)
        durable = cloud.plane.wait(lambda: faults.forgotten > 1 and cloud.plane.durable_step(cloud.volume, card.stem))
        cloud.plane.happen("lost", call)
        cloud.plane.wait(lambda: call.attempts)
        faults.forget = False
        cloud.plane.wait(lambda: call.is_over)
        assert not faults.skews
    (resumed,) = cloud.events(card.stem, "resumed")
    assert resumed["step"] == durable
    (heard,) = cloud.events(card.stem, "last_heard")
    assert heard["of"] == 1
    assert 0 < cloud.status(card.stem)["cost_usd"] < 0.1, "two hours would be more than a dollar"
    assert cloud.events(card.stem, "attempt_ended")[-1]["state"] == "completed"
    assert cloud.status(card.stem)["damage"] == []


def test_time_that_is_up_starts_the_next_attempt_there(cloud: Cloud, undisturbed: str) -> None:
    card = cloud.card(
        {"training.epochs": EPOCHS, "training.toy.step_ms": 100, "infra.timeout": "4s", "infra.retries": 8}
    )
    call = cloud.launched(card)
    cloud.plane.wait(lambda: call.is_over)
    states = [event["state"] for event in cloud.events(card.stem, "attempt_ended")]
    assert len(states) > 1
    assert states[-1] == "completed"
    assert "timed_out" in states  # the worker ends before Modal does it, unless the machine is very slow
    assert cloud.weights(card.stem) == undisturbed


def test_a_run_whose_retries_are_used_up_is_resumed_from_where_it_was(cloud: Cloud, undisturbed: str) -> None:
    card = cloud.card({**SLOW, "infra.retries": 0})
    cloud.plane.script(cloud.volume, card.stem, (8, "timed out"))
    call = cloud.launched(card)
    cloud.plane.wait(lambda: call.is_over)
    assert call.attempts == ["timeout"]
    (warning,) = cloud.events(card.stem, "warning")
    assert warning["message"].startswith("Modal ends this container, because its time is up")
    code, _, err = cloud.type("attach", card.stem)
    assert code == 143, err
    assert "cardrunner resume" in err
    code, _, err = cloud.type("resume", card.stem)
    assert code == 0, err
    again = cloud.call(card.stem)
    cloud.plane.wait(lambda: again.is_over)
    assert cloud.weights(card.stem) == undisturbed
