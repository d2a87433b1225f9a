"""Coming back to a run on Modal: from another shell, from another machine, after whoever launched it died."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.modal_plane.cloud import Cloud
from tests.modal_plane.plane import Plane


def elsewhere(cloud: Cloud, card: Path, folder: Path) -> Path:
    """Another machine: a workspace with the card, and no run."""
    (folder / "runcards").mkdir(parents=True)
    shutil.copy(card, folder / "runcards")
    return folder


@pytest.fixture(scope="module")
def launched(modal_plane: Plane, zygote: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cloud, Path]:
    """A run that was launched, in the middle of which two commits failed; and its card."""
    cloud = Cloud(modal_plane, zygote, tmp_path_factory.mktemp("launched"))
    card = cloud.card()
    with cloud.plane.trouble() as faults:
        cloud.plane.at_step(cloud.volume, card.stem, 8, lambda: setattr(faults, "commits", 2))
        code, _, err = cloud.type("launch", card)
        assert code == 0, err
        assert "at the worst: 3h, $1.77 (3 attempts of 1h" in err
        cloud.plane.wait(lambda: cloud.call(card.stem).is_over)
    return cloud, card


def test_a_run_is_launched_there_and_finished_from_another_machine_by_its_name(
    launched: tuple[Cloud, Path], tmp_path: Path
) -> None:
    cloud, card = launched
    other = elsewhere(cloud, card, tmp_path / "other")
    code, out, err = cloud.type("attach", card.stem, cwd=other)
    assert code == 0, err
    assert Path(out.strip()) == other / "runs" / card.stem / "results.md"
    assert (other / "out" / "best.pt").read_bytes() == (cloud.folder(card.stem) / "best.pt").read_bytes()
    seen = cloud.status(card.stem, cwd=other)
    assert (seen["state"], seen["epoch"], seen["last_durable_step"], seen["attempts"]) == ("completed", 3, 24, 1)
    assert "stage checkpoint" in cloud.type("logs", card.stem, cwd=other)[1]
    # and the shell that launched it knows as much
    assert cloud.status(card.stem)["weights_sha256"] == seen["weights_sha256"]


def test_a_commit_that_fails_twice_is_tried_again(launched: tuple[Cloud, Path]) -> None:
    cloud, card = launched
    assert [event["tries"] for event in cloud.events(card.stem, "committed") if event["tries"] > 1] == [3]


def test_a_short_download_is_tried_again_and_replaces_nothing(launched: tuple[Cloud, Path], tmp_path: Path) -> None:
    cloud, card = launched
    other = elsewhere(cloud, card, tmp_path / "other")
    target = other / "out" / "best.pt"
    target.parent.mkdir()
    target.write_text("what was there before")
    with cloud.plane.trouble(short_reads=3):
        code, _, err = cloud.type("download", card.stem, cwd=other)
    assert code == 7
    assert "came 3 times as" in err
    assert target.read_text() == "what was there before"
    assert not list((other / "runs" / card.stem).rglob("*.part"))
    with cloud.plane.trouble(short_reads=2):
        code, out, err = cloud.type("download", card.stem, cwd=other)
    assert (code, out.strip()) == (0, str(target)), err
    assert target.read_bytes() == (cloud.folder(card.stem) / "best.pt").read_bytes()


def test_a_run_is_stopped_from_another_machine_and_goes_on_from_a_third(cloud: Cloud, tmp_path: Path) -> None:
    card = cloud.card({"training.epochs": 400, "training.toy.step_ms": 50})
    code, _, err = cloud.type("launch", card)  # returns once it trains
    assert code == 0, err
    assert "trains: step 2" in err
    assert f"cardrunner attach {card.stem}" in err
    call = cloud.call(card.stem)
    assert not call.is_over
    watching = cloud.begin("logs", card.stem, "-f")
    third = elsewhere(cloud, card, tmp_path / "third")
    second = tmp_path / "second"  # has nothing but the record of the run
    (second / "runs" / card.stem).mkdir(parents=True)
    shutil.copy(cloud.root / "runs" / card.stem / "elsewhere.json", second / "runs" / card.stem)
    code, out, err = cloud.type("stop", card.stem, "--wait", "100", cwd=second)
    assert code == 0, err
    assert f"{card.stem} stopped at step" in out
    assert call.attempts == ["success"]  # a verdict is returned: Modal does not try again
    code, out, err = watching.finish()
    assert code == 0, err
    assert "stage train" in out
    code, _, err = cloud.type("finish", card.stem, cwd=third)
    assert code == 5, err
    code, _, err = cloud.type("resume", card.stem, cwd=third)
    assert code == 0, err
    again = cloud.call(card.stem)
    assert again is not call
    seen = cloud.status(card.stem)  # the machine that launched it sees what the third one did
    assert (seen["state"], seen["attempts"]) == ("running", 2)
    assert seen["resumed_from"]["step"] > 0
    code, _, err = cloud.type("stop", card.stem, "--wait", "0", "--force")
    assert code == 0, err
    cloud.plane.wait(lambda: again.is_over)


def test_whoever_watches_may_go_and_a_run_that_does_not_listen_is_ended_by_force(cloud: Cloud) -> None:
    card = cloud.card({"training.toy.hang_at": 12, "infra.detach": False})
    client = cloud.begin("launch", card)
    cloud.plane.wait(lambda: cloud.plane.durable_step(cloud.volume, card.stem) >= 8)
    client.send_signal(signal.SIGINT)
    code, _, err = client.finish()
    assert code == 130, err
    assert f"run {card.stem} goes on: watch it with `cardrunner attach {card.stem}`" in err
    call = cloud.call(card.stem)
    assert not call.is_over
    code, _, err = cloud.type("stop", card.stem, "--wait", "0.5", "--force")
    assert code == 0, err
    cloud.plane.wait(lambda: call.is_over)
    seen = cloud.status(card.stem)
    assert seen["state"] == "interrupted"
    assert "cancelled, or its container was lost" in seen["reason"]
    assert seen["last_durable_step"] == 8


def test_a_client_that_died_before_it_knew_the_call_leaves_no_orphan(cloud: Cloud) -> None:
    card = cloud.card({"training.toy.hang_at": 12})
    with cloud.plane.trouble(mute_spawns=True):
        client = cloud.begin("launch", card)
        cloud.plane.wait(lambda: cloud.plane.calls(app=card.stem))
        client.send_signal(signal.SIGKILL)
        client.wait()
    cloud.plane.wait(lambda: cloud.events(card.stem, "training"))
    assert cloud.status(card.stem)["state"] == "running"
    code, _, err = cloud.type("launch", card)
    assert code == 6
    assert f"run {card.stem} is running; watch it with `cardrunner attach {card.stem}`" in err
    code, _, err = cloud.type("stop", card.stem, "--wait", "0", "--force")
    assert code == 0, err
    cloud.plane.wait(lambda: cloud.call(card.stem).is_over)


def test_a_client_that_died_before_a_machine_was_free_leaves_no_orphan_either(cloud: Cloud) -> None:
    card = cloud.card()
    with cloud.plane.trouble(mute_spawns=True, hold=True):
        client = cloud.begin("launch", card)
        cloud.plane.wait(lambda: cloud.plane.calls(app=card.stem))
        client.send_signal(signal.SIGKILL)
        client.wait()
        assert cloud.status(card.stem)["state"] == "starting"
        code, _, err = cloud.type("stop", card.stem, "--wait", "0", "--force")
        assert code == 0, err
    cloud.plane.wait(lambda: cloud.call(card.stem).is_over)
    seen = cloud.status(card.stem)
    assert (seen["state"], seen["attempts"]) == ("failed", 0)
    assert "ended before it was started, or Modal stopped it" in seen["reason"]
