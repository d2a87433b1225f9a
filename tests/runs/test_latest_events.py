from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cardrunner.runs.jsonl import append_line
from cardrunner.runs.ledger import latest_events
from cardrunner.runs.records import RemoteRun, write_record

TOMORROW = {"at": "2126-03-01T12:00:00.000Z", "event": "attempt_started", "attempt": 1}


def test_the_latest_moment_of_a_run_is_the_one_of_its_last_event(toy_run: Callable[..., Any]) -> None:
    folder = toy_run().folder
    append_line(folder.ledger, TOMORROW, durable=False)
    assert list(latest_events(folder.root.parent)) == [(f"the last event of run {folder.name}", TOMORROW["at"])]


def test_the_clock_of_another_machine_says_nothing_about_this_one(toy_run: Callable[..., Any]) -> None:
    folder = toy_run().folder
    append_line(folder.ledger, TOMORROW, durable=False)
    record = RemoteRun(executor="modal", submission="0", volume="v", path="/checkpoints/toy-run", seen="now")
    write_record(folder.remote_run, record)
    ((_, at),) = latest_events(folder.root.parent)
    assert at < "2126"
