from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cardrunner.common.clock import utc_seconds
from cardrunner.runs.events import AttemptEnded, AttemptStarted, NoteLeft, RuleFired
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.ledger import Ledger
from tests.examples import examples
from tests.ledger_lines import recorded

Row = Callable[..., HistoryRow]


def test_events_begin_with_their_time_and_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(NoteLeft(message="hello"))
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert line.startswith('{"at": "2')
    (event,) = recorded(ledger)
    assert list(event) == ["at", "event", "message"]
    assert event["at"].endswith("Z")
    assert utc_seconds(event["at"]) > 0


def test_events_are_found_by_kind(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for number in (1, 2):
        ledger.append(AttemptStarted(attempt=number))
        ledger.append(AttemptEnded(attempt=number, state="completed", exit_code=0))
    assert ledger.attempts() == 2
    assert [event.attempt for event in ledger.events(AttemptEnded)] == [1, 2]
    assert isinstance(ledger.last(AttemptStarted, AttemptEnded), AttemptEnded)
    assert ledger.last(RuleFired) is None


def test_a_verdict_on_nan_keeps_its_nan(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(RuleFired(attempt=1, rule=0, action="stop", step=8, value=math.nan, limit=0.5))
    (verdict,) = ledger.events(RuleFired)
    assert verdict.value is not None
    assert math.isnan(verdict.value)


def filled(path: Path, *names: str) -> Ledger:
    path.write_text("".join(f'{{"event": "{name}"}}\n' for name in names))
    return Ledger(path)


def test_two_ledgers_grow_together_in_the_order_in_which_things_were_learned(tmp_path: Path) -> None:
    here = filled(tmp_path / "here.jsonl", "created", "submitted", "job")
    there = filled(tmp_path / "there.jsonl", "created", "submitted", "attempt_started")
    for _ in range(2):  # the second time there is nothing left to learn
        here.add_missing(there.lines())
        assert [row["event"] for row in recorded(here)] == ["created", "submitted", "job", "attempt_started"]


def test_the_same_event_twice_is_two_events(tmp_path: Path) -> None:
    once, twice = filled(tmp_path / "once.jsonl", "note"), filled(tmp_path / "twice.jsonl", "note", "note")
    once.add_missing(twice.lines())
    assert once.lines() == twice.lines()


def test_a_torn_line_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"event": "created"}\n{"event": "sub')
    assert Ledger(path).lines() == ('{"event": "created"}',)


def test_a_line_of_another_copy_keeps_its_bytes(tmp_path: Path) -> None:
    line = '{"b":1,"event":"moon_landed","at":"2026-03-01T12:00:00.000Z","crew":["\\u00e5da", NaN, 1e3]}'
    ledger = filled(tmp_path / "ledger.jsonl", "created")
    ledger.add_missing([line])
    assert ledger.path.read_bytes().endswith(line.encode() + b"\n")
    ledger.add_missing([line])
    assert len(ledger.lines()) == 2


def test_a_secret_of_this_side_is_hidden_in_a_line_of_another_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "xyzzy-12345")
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.add_missing(['{"event":"note","message":"it is xyzzy-12345"}'])
    assert ledger.lines() == ('{"event": "note", "message": "it is [MY_SERVICE_TOKEN hidden]"}',)


def test_history_rows_come_back_with_their_nan(tmp_path: Path, row: Row) -> None:
    history = History(tmp_path / "history.jsonl")
    history.append(row(1, loss=math.nan))
    history.append(row(2, kind="validation", val_loss=0.5))
    first, second = history.rows()
    assert math.isnan(first.metrics["loss"])
    assert second == row(2, kind="validation", val_loss=0.5)


def test_rules_see_the_validations_only(tmp_path: Path, row: Row) -> None:
    history = History(tmp_path / "history.jsonl")
    for made in (
        row(1),
        row(2, kind="validation", val_loss=0.5),
        row(3, epoch=2),
        row(4, kind="validation", epoch=2, val_loss=0.4),
    ):
        history.append(made)
    assert [(seen.epoch, seen.step, seen.metrics["val_loss"]) for seen in history.validations()] == [
        (1, 2, 0.5),
        (2, 4, 0.4),
    ]


@examples(30)
@given(steps=st.lists(st.integers(0, 40), max_size=12).map(sorted), cut=st.integers(0, 40))
def test_a_resumed_run_drops_exactly_the_rows_beyond_its_checkpoint(
    tmp_path_factory: object, steps: list[int], cut: int
) -> None:
    path = tmp_path_factory.mktemp("history") / "history.jsonl"  # type: ignore[attr-defined]
    history = History(path)
    for step in steps:
        history.append(
            HistoryRow(
                kind="train", epoch=1, step=step, examples=step, learning_rate=0.1, metrics={},
                clock=Clock(at="2026-03-01T12:00:00.000Z", seconds=0.0),
            )
        )  # fmt: skip
    assert history.truncate_after(cut) == sum(step > cut for step in steps)
    assert [made.step for made in history.rows()] == [step for step in steps if step <= cut]


def test_a_row_without_training_time_has_none() -> None:
    assert Clock(at="2026-03-01T12:00:00.000Z", seconds=1.0).train_seconds == 0.0


def test_trackers_keep_their_files_in_a_folder_of_the_run(tmp_path: Path) -> None:
    folder = RunFolder.of(tmp_path / "runs", "a-run")
    assert folder.tracking == folder.root / "tracking"
    assert folder.tracker_state("wandb").parent == folder.tracking
