from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings, strategies as st

from cardrunner.clock import utc_seconds
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.ledger import Ledger

Row = Callable[..., HistoryRow]


def test_events_begin_with_their_time_and_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("note", message="hello")
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert line.startswith('{"at": "2')
    (event,) = ledger.events()
    assert list(event) == ["at", "event", "message"]
    assert event["at"].endswith("Z")
    assert utc_seconds(event["at"]) > 0


def test_events_are_found_by_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for number in (1, 2):
        ledger.append("attempt_started", attempt=number)
        ledger.append("attempt_ended", attempt=number)
    assert ledger.attempts() == 2
    assert [event["attempt"] for event in ledger.events("attempt_ended")] == [1, 2]
    assert (ledger.last("attempt_started") or {})["attempt"] == 2
    assert ledger.last("verdict") is None


def test_a_verdict_on_nan_keeps_its_nan(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("verdict", value=math.nan, limit=0.5)
    assert math.isnan(ledger.events()[0]["value"])


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


@settings(max_examples=30, deadline=None)
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
