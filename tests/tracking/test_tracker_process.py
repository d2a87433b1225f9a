"""The process of a tracker, with trackers that remember, fail and wait."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.trackers import TRACKERS, find_tracker
from cardrunner.contracts import Tracked, TrackedRun
from cardrunner.errors import EnvironmentFailed
from cardrunner.launching.tracker_process import TrackerProcess
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.ledger import Ledger
from cardrunner.tracking import tracker_processes
from cardrunner.tracking.tracker_processes import TrackerProcesses, read_memory
from tests.ledger_lines import record, recorded

TRACKING = {"infra.tracking": {"wandb": {"project": "p"}}}


@dataclass
class Remembering:
    """A tracker that remembers; may be told to fail."""

    fails_at: str = ""
    facts: list[TrackedRun] = field(default_factory=list)
    rows: list[tuple[str, int]] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    def open(self, facts: TrackedRun) -> Tracked:
        if self.fails_at == "open":
            raise EnvironmentFailed("it is switched off")
        self.facts.append(facts)
        return facts.previous or Tracked("an-id", "nowhere", "offline")

    def log(self, row: HistoryRow) -> None:
        if self.fails_at == "log" and row.step > 1:
            raise ConnectionError("the line is cut")
        self.rows.append((row.kind, row.step))

    def alert(self, title: str, text: str) -> None:
        self.alerts.append((title, text))

    def close(self, summary: Mapping[str, Any]) -> None:
        self.summary.update(summary)


def row(step: int, kind: str = "train") -> HistoryRow:
    clock = Clock(at="2026-03-01T12:00:00.000Z", seconds=1.0)
    return HistoryRow.model_validate(
        {
            "kind": kind, "epoch": 1, "step": step, "examples": step, "learning_rate": 0.1, "metrics": {"loss": 0.5},
            "clock": clock,
        }
    )  # fmt: skip


@dataclass
class Attempt:
    """An attempt of a run, and the worker's end of the tracker process's lifeline."""

    folder: RunFolder
    number: int = 1

    def __post_init__(self) -> None:
        self.ledger, self.history = Ledger(self.folder.ledger), History(self.folder.history)
        record(self.ledger, "attempt_started", attempt=self.number, executor="local", host="here", resumed_from=None)
        self.lifeline, self.other_end = os.pipe()

    def end(self, state: str = "completed", **told: Any) -> None:
        record(self.ledger, "attempt_ended", attempt=self.number, state=state, exit_code=0, seconds=1.0, **told)
        self.let_go()

    def let_go(self) -> None:
        os.close(self.other_end)

    def process(self, tracker: Remembering) -> TrackerProcess:
        memory = read_memory(self.folder.tracker_state("wandb"))
        self.folder.tracking.mkdir(exist_ok=True)
        return TrackerProcess("wandb", self.folder, self.number, tracker, memory, lifeline=self.lifeline)

    def events(self) -> list[dict[str, Any]]:
        return recorded(self.ledger, "tracker")


@pytest.fixture
def attempt(toy_run: Callable[..., Any]) -> Iterator[Attempt]:
    made = Attempt(toy_run(TRACKING).folder)
    yield made
    os.close(made.lifeline)


def test_every_row_is_told_once_while_the_run_goes_on_and_after_a_resume(attempt: Attempt) -> None:
    tracker = Remembering()
    attempt.history.append(row(1))
    thread = threading.Thread(target=attempt.process(tracker).run)
    thread.start()
    for step in (2, 3):
        attempt.history.append(row(step))
    attempt.history.append(row(3, "validation"))
    attempt.end(reason=None)
    thread.join()
    assert tracker.rows == [("train", 1), ("train", 2), ("train", 3), ("validation", 3)]
    assert [event["state"] for event in attempt.events()] == ["on", "ended"]
    assert tracker.summary["state"] == "completed"
    assert (tracker.facts[0].settings.project, tracker.facts[0].config["run"]) == ("p", "toy-run")
    assert tracker.facts[0].config["card"]["training"]["epochs"] == 3
    attempt.history.truncate_after(2)
    again = Attempt(attempt.folder, number=2)
    for step in (3, 4):
        again.history.append(row(step))
    again.history.append(row(4, "validation"))
    again.end(reason=None)
    later = Remembering()
    again.process(later).run()
    os.close(again.lifeline)
    assert later.facts[0].previous == Tracked("an-id", "nowhere", "offline")
    assert later.rows == [("train", 4), ("validation", 4)]


def test_a_tracker_that_cannot_open_says_why(attempt: Attempt) -> None:
    attempt.end(reason=None)
    attempt.process(Remembering(fails_at="open")).run()
    (event,) = attempt.events()
    assert (event["state"], event["message"]) == ("failed", "it is switched off")


def test_a_tracker_that_breaks_on_the_way_says_how_far_it_came(attempt: Attempt) -> None:
    for step in (1, 2):
        attempt.history.append(row(step))
    attempt.end(reason=None)
    attempt.process(Remembering(fails_at="log")).run()
    assert attempt.events()[-1]["state"] == "failed"
    assert attempt.events()[-1]["message"] == "ConnectionError: the line is cut; it has the rows up to step 1"


@pytest.mark.parametrize(
    ("state", "killed", "title"),
    [
        ("completed", False, None),
        ("interrupted", False, None),
        ("stopped", False, None),
        ("stopped", True, "toy-run: killed"),
        ("investigate", True, "toy-run: investigate"),
        ("failed", False, "toy-run: failed"),
        ("timed_out", False, "toy-run: timed_out"),
    ],
)
def test_what_wants_peoples_eyes_is_an_alert(attempt: Attempt, state: str, killed: bool, title: str | None) -> None:
    if state == "stopped" and not killed:
        attempt.folder.stop_request.write_text("{}")  # somebody asked for it
    attempt.end(state, reason="because")
    tracker = Remembering()
    attempt.process(tracker).run()
    assert tracker.alerts == ([] if title is None else [(title, "because")])


def test_a_worker_that_died_without_a_word_closes_its_trackers(attempt: Attempt) -> None:
    attempt.history.append(row(1))
    attempt.let_go()
    tracker = Remembering()
    attempt.process(tracker).run()
    assert tracker.rows == [("train", 1)]
    assert (tracker.summary["state"], tracker.summary["exit_code"]) == ("interrupted", 7)


def test_a_tracker_that_cannot_even_be_imported_is_told_by_its_process(attempt: Attempt) -> None:
    running = TrackerProcesses(attempt.folder, 1)
    running.start(["nothing"])
    limit = time.monotonic() + 60
    while not attempt.events():
        assert time.monotonic() < limit
        time.sleep(0.05)
    running.close()
    attempt.let_go()
    assert "unknown tracker 'nothing'" in attempt.events()[0]["message"]


@pytest.fixture
def sleepers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Instead of tracker processes: processes that never end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(self: TrackerProcesses, name: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE))
        return started[-1]

    monkeypatch.setattr(TrackerProcesses, "_started", start)
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_a_tracker_process_that_dies_is_told(attempt: Attempt, sleepers: list[subprocess.Popen[bytes]]) -> None:
    running = TrackerProcesses(attempt.folder, 1)
    running.start(["wandb"])
    sleepers[0].kill()
    limit = time.monotonic() + 30
    while not attempt.events():
        assert time.monotonic() < limit
        time.sleep(0.05)
    running.close()
    attempt.let_go()
    assert attempt.events()[0]["state"] == "lost"
    assert "its process ended with -9" in attempt.events()[0]["message"]


def test_a_worker_does_not_wait_long_for_trackers_that_never_end(
    attempt: Attempt, sleepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracker_processes.PATIENCE_SECONDS < 5
    monkeypatch.setattr(tracker_processes, "PATIENCE_SECONDS", 0.2)
    running = TrackerProcesses(attempt.folder, 1)
    running.start(["wandb", "tensorboard"])
    running.close()
    attempt.let_go()
    assert [process.poll() for process in sleepers] == [None, None]


def test_a_card_can_ask_for_every_tracker_of_the_table(toy_card: Callable[..., Any]) -> None:
    tracking = type(toy_card().card.infra.tracking)
    assert list(tracking.model_fields) == list(TRACKERS)


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_every_tracker_satisfies_the_contract(name: str) -> None:
    found = find_tracker(name)
    assert found is not None
    pytest.importorskip(found.spec.needs[0])
    tracker = registry.tracker(name)()
    assert all(callable(getattr(tracker, method)) for method in ("open", "log", "alert", "close"))


def test_event_files_are_read_back_by_tensorboard(toy_run: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracker = registry.tracker("tensorboard")()
    facts = TrackedRun(run="r", folder=tmp_path, settings=True, config={"a": 1}, previous=None, first_step=0)
    tracked = tracker.open(facts)
    for made in (row(1), row(2), row(2, "validation")):
        tracker.log(made)
    tracker.alert("r: killed", "because")
    tracker.close({"state": "completed"})
    events = reader.EventAccumulator(tracked.where)
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.5), (2, 0.5)]
    assert [event.step for event in events.Scalars("epoch/loss")] == [2]
    assert {"card/text_summary", "alerts/text_summary", "summary/text_summary"} <= set(events.Tags()["tensors"])
