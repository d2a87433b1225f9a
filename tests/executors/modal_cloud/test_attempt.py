"""One container's part of a run, without Modal around it: a folder stands for the volume, and commits are counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cardrunner.executors.modal_cloud.orders import Order, frozen_texts
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import LeaseBody
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LaunchRecord, read_record, write_record
from tests.ledger_lines import record, recorded

CONTAINER = """
import contextlib, json, signal, sys
from pathlib import Path
from cardrunner.executors.modal_cloud.attempt import ContainerAttempt, AttemptOver
from cardrunner.executors.modal_cloud.orders import Order

order, volume, scratch = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
full, swallowing = map(float, sys.argv[4:])
commits = 0

def commit():
    global commits
    commits += 1
    if commits > full:
        raise RuntimeError("no space left")
    if commits == swallowing:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

attempt = ContainerAttempt(
    order=Order.model_validate(order), volume=volume, scratch=scratch, commit=commit, stop_asked=lambda: False,
    interruptions=(KeyboardInterrupt,), note={"call": "fc-1"},
)
attempt.publisher.delays = (0.01,)
try:
    answer = {"returned": attempt.run().model_dump()}
except AttemptOver as over:
    answer = {"raised": str(over)}
print("\\n" + json.dumps(answer))
"""


@dataclass
class Place:
    """A run that was submitted, and the volume that it lives on."""

    folder: RunFolder
    order: Order
    volume: Path
    zygote: Any
    containers: int = 0

    @property
    def there(self) -> RunFolder:
        return RunFolder(self.volume / "checkpoints" / self.folder.name)

    def events(self, *names: str) -> list[dict[str, Any]]:
        return recorded(Ledger(self.there.ledger), *names)

    def begin(self, *, full_after: float = 1e9, swallowing: float = 0, **changes: Any) -> Any:
        """Start a container.

        Args:
            full_after: the number of commits that work.
            swallowing: the commit that swallows the SIGINT by which Modal takes the machine back.
            changes: of the order.
        """
        self.containers += 1
        scratch = self.volume.parent / f"scratch-{self.containers}"
        scratch.mkdir()
        order = self.order.model_copy(update=changes).model_dump_json()
        return self.zygote.code(CONTAINER, order, self.volume, scratch, full_after, swallowing, cwd=scratch)

    def attempt(self, **more: Any) -> dict[str, Any]:
        """Run a container to its end."""
        code, out, err = self.begin(**more).finish()
        assert code == 0, err
        found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        return found


@pytest.fixture
def submitted(toy_run: Callable[..., Any], tmp_path: Path, zygote: Any) -> Callable[..., Place]:
    """Makes a submitted run: ``submitted({"training.toy.raise_at": 3})``."""

    def make(changes: dict[str, Any] | None = None) -> Place:
        folder: RunFolder = toy_run({"training.epochs": 2, **(changes or {})}).folder
        order = Order(
            run=folder.name,
            volume="v",
            path=f"/checkpoints/{folder.name}",
            submission="first",
            app="ap-1",
            files=frozen_texts(folder),
            events=Ledger(folder.ledger).lines(),
            retries=3,
        )
        (volume := tmp_path / "volume").mkdir()
        return Place(folder, order, volume, zygote)

    return make


def test_a_run_that_is_done_is_returned_and_not_done_again(submitted: Callable[..., Place]) -> None:
    place = submitted()
    done = {"returned": {"state": "completed", "exit_code": 0, "reason": None}}
    assert [place.attempt(), place.attempt()] == [done, done]
    assert len(place.events("attempt_started")) == 1
    assert place.there.best.exists()
    assert place.events("committed")[-1]["durable_step"] == 16


@pytest.mark.parametrize(
    ("changes", "state", "code"),
    [
        ({"kill_thresholds": [{"metric": "val_loss", "above": 0.001, "action": "stop"}]}, "stopped", 5),
        ({"kill_thresholds": [{"metric": "val_loss", "above": 0.001, "action": "investigate"}]}, "investigate", 8),
        ({"training.batch_size": 1, "training.drop_last": False, "training.toy.oom_at": 3}, "failed", 7),
    ],
    ids=["stop", "investigate", "out of memory"],
)
def test_a_verdict_is_returned_so_that_nobody_tries_again(
    submitted: Callable[..., Place], changes: dict[str, Any], state: str, code: int
) -> None:
    answer = submitted(changes).attempt()
    assert (answer["returned"]["state"], answer["returned"]["exit_code"]) == (state, code)


def test_what_breaks_is_tried_again_from_the_newest_state(submitted: Callable[..., Place]) -> None:
    place = submitted({"training.toy.raise_at": 12})
    assert "a bug in cardrunner or the workload: ValueError" in place.attempt()["raised"]
    assert place.attempt()["returned"]["state"] == "completed"
    assert [event["step"] for event in place.events("resumed")] == [8]


def test_what_breaks_twice_in_the_same_way_is_returned(submitted: Callable[..., Place]) -> None:
    place = submitted({"training.toy.raise_at": 12})
    assert "raised" in place.attempt()
    (place.there.scratch / "toy-raise_at").unlink()  # it would strike only once
    assert place.attempt()["returned"]["exit_code"] == 1


def test_several_processes_train_inside_one_container(submitted: Callable[..., Place]) -> None:
    place = submitted({"training.processes": 2})
    assert place.attempt()["returned"]["state"] == "completed"
    assert json.loads((place.there.record("train")).read_text())["processes"] == 2


def test_a_card_without_retries_has_its_end_returned(submitted: Callable[..., Place]) -> None:
    place = submitted({"training.toy.exit_at": 12})
    answer = place.attempt(retries=0)
    assert answer["returned"] == {"state": "failed", "exit_code": 7, "reason": "the worker ended with 9 and no word"}
    assert place.events("attempt_ended")[-1]["reason"] == "the worker ended with 9 and no word"


def test_a_volume_that_fills_up_ends_the_run_instead_of_losing_it(submitted: Callable[..., Place]) -> None:
    answer = submitted({"training.epochs": 500, "training.toy.step_ms": 5}).attempt(full_after=2)
    assert answer["returned"]["exit_code"] == 7
    assert "the volume could not be committed in 2 tries: RuntimeError: no space left" in answer["returned"]["reason"]


def test_an_interruption_during_a_commit_is_not_lost(submitted: Callable[..., Place]) -> None:
    place = submitted({"training.epochs": 500, "training.toy.step_ms": 5})
    assert place.begin(swallowing=3).wait() == 130
    (warning,) = place.events("warning")
    assert warning["message"].startswith("Modal takes the machine back")
    assert place.events("attempt_ended")[-1]["state"] == "interrupted"


def test_two_containers_are_not_at_work_on_one_run(submitted: Callable[..., Place]) -> None:
    place = submitted()
    place.attempt()
    ledger = Ledger(place.there.ledger)
    record(ledger, "container", submission="somebody-else", call="fc-2")
    place.there.lease.write_text(
        LeaseBody(
            pid=1, host="far", started="2026-03-01T12:00:00.000Z", heartbeat=recorded(ledger)[-1]["at"]
        ).model_dump_json()
    )
    answer = place.attempt()
    assert answer["returned"]["exit_code"] == 6
    assert "another container is at work on toy-run (call fc-2, last heartbeat" in answer["returned"]["reason"]
    assert place.attempt(follows="somebody-else")["returned"]["state"] == "completed"  # it is known to be over


def test_a_folder_of_another_card_is_left_alone(submitted: Callable[..., Place]) -> None:
    place = submitted()
    other = read_record(place.folder.launch, LaunchRecord).model_copy(update={"created": "2026-03-02T12:00:00.000Z"})
    write_record(place.there.launch, other)
    answer = place.attempt()
    assert answer["returned"]["exit_code"] == 6
    assert "/checkpoints/toy-run holds another run, launched at 2026-03-02" in answer["returned"]["reason"]
    assert [path.name for path in place.there.root.iterdir()] == ["launch.json"]
