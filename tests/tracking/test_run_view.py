"""What people see of a run: derived from its folder, drawn on a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from cardrunner.common.clock import utc_now, utc_seconds, utc_text
from cardrunner.contracts import RunSnapshot
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import (
    AttemptEnded,
    AttemptStarted,
    CheckpointSaved,
    Leaving,
    Resumed,
    Retried,
    RuleFired,
    StageStarted,
    TrackerSaid,
    TrainingBegan,
    WarningGiven,
)
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, HistoryRow
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LoadRecord, write_record
from cardrunner.tracking.progress import NullProgress, RichProgress
from cardrunner.tracking.run_view import RunView
from cardrunner.tracking.screen import described, drawn

CHANGES = {
    "infra.price": "$36/h",
    "timing.budget": "$5",
    "kill_thresholds": [
        {"metric": "val_loss", "above": 2.0, "action": "stop", "why": "it has learned nothing"},
        {"metric": "val_loss", "above": 0.6, "action": "warn"},
        {"metric": "val_loss/total", "not_decreasing_for": "3 epochs", "action": "investigate"},
    ],
}


def row(step: int, kind: str = "train", **metrics: float) -> HistoryRow:
    return HistoryRow.model_validate(
        {
            "kind": kind, "epoch": 1, "step": step, "examples": 32 * step, "learning_rate": 0.1,
            "metrics": metrics or {"loss/total": 0.5}, "clock": Clock(at=utc_now(), attempt=1, seconds=1.0),
        }
    )  # fmt: skip


def pulse(folder: RunFolder, step: int, attempt: int = 1) -> None:
    body = {"at": utc_now(), "attempt": attempt, "epoch": 1, "step": step, "examples": 32 * step, "train_seconds": 1.0}
    folder.heartbeat.write_text(json.dumps(body))


@pytest.fixture
def run(toy_run: Callable[..., Any], toy_card: Callable[..., Any]) -> RunView:
    folder = toy_run(CHANGES).folder
    facts = {"mode": "m", "train_examples": 256, "val_examples": 64, "seconds": 1.0, "identity": {}, "facts": ()}
    write_record(folder.record("load"), LoadRecord.model_validate(facts))
    return RunView(toy_card(CHANGES), folder)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [utc_seconds(utc_now())]
    monkeypatch.setattr("cardrunner.tracking.run_view.time.time", lambda: now[0])
    return now


def begin(run: RunView) -> None:
    take(run, AttemptStarted(attempt=1, executor="local"))
    run.note(StageStarted(attempt=1, stage="train"))


def take(run: RunView, event: Event) -> None:
    """Into its ledger, and from there."""
    Ledger(run.folder.ledger).append(event)
    run.note(Ledger(run.folder.ledger).events()[-1])


def test_time_and_money_are_projected_at_the_pace_of_the_last_minute(run: RunView, clock: list[float]) -> None:
    begin(run)
    for step in (2, 4, 6):
        pulse(run.folder, step)
        run.read_pace()
        seen = run.snapshot()
        clock[0] += 10.0
    assert (seen.stage, seen.step, seen.examples, seen.total) == ("train", 6, 192, 768)
    assert seen.examples_per_second == pytest.approx(6.4)
    assert seen.seconds_left == pytest.approx((768 - 192) / 6.4)
    assert seen.spent == pytest.approx(0.2, abs=0.01)
    assert seen.projected == pytest.approx(0.2 + 0.9, abs=0.01)
    assert seen.budget == 5


def test_while_a_run_saves_and_after_its_end_the_last_figures_stay(run: RunView, clock: list[float]) -> None:
    begin(run)
    for step in (2, 4):
        pulse(run.folder, step)
        run.read_pace()
        clock[0] += 10.0
    assert run.note(Leaving(attempt=1, reason="interrupted")) == "it saves and ends"
    for _ in range(30):
        run.read_pace()
        clock[0] += 1.0
    seen = run.snapshot()
    assert (seen.stage, seen.seconds_left, seen.projected) == ("saving", None, None)
    assert seen.examples_per_second == pytest.approx(6.4)
    assert seen.spent == pytest.approx(0.5, abs=0.01)
    take(run, AttemptEnded(attempt=1, state="interrupted", exit_code=130, seconds=50.0))
    clock[0] += 600.0
    assert run.snapshot().spent == pytest.approx(0.5)
    assert run.snapshot().examples_per_second == pytest.approx(6.4)


def test_silence_of_minutes_is_a_warning_until_a_step_comes(run: RunView, clock: list[float]) -> None:
    begin(run)
    run.note(StageStarted(at=utc_text(clock[0]), attempt=1, stage="train"))
    pulse(run.folder, 2)
    clock[0] += 350.0
    run.read_pace()
    said = "no step for 5 min; if it hangs, `cardrunner stop toy-run --force` ends it at once"
    assert run.snapshot().warning == said
    assert f"warning: {said}" in described(run.snapshot())
    clock[0] -= 340.0
    pulse(run.folder, 3)
    clock[0] += 2.0
    run.read_pace()
    assert run.snapshot().warning is None


def test_the_pulse_of_an_earlier_attempt_is_not_this_ones(run: RunView, clock: list[float]) -> None:
    begin(run)
    pulse(run.folder, 9, attempt=7)
    run.read_pace()
    assert (run.snapshot().step, run.snapshot().examples_per_second) == (0, None)
    run.add(row(3))
    assert (run.snapshot().step, run.snapshot().examples) == (3, 96)


def test_the_thresholds_nearest_to_firing_come_first(run: RunView, clock: list[float]) -> None:
    begin(run)
    assert run.snapshot().thresholds == ()
    run.add(row(8, "validation", **{"val_loss/total": 0.5}))
    assert [text.split(":")[0] for text in run.snapshot().thresholds] == ["val_loss > 0.6", "val_loss > 2"]
    assert run.snapshot().thresholds[0] == "val_loss > 0.6: at 0.5, room 0.1"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            TrainingBegan(attempt=1, step=2, loss=1.25, examples_per_second=1234.5, seconds=3.21),
            "trains: step 2, loss 1.25, 1,234 examples/s, 3.2 s after the attempt began",
        ),
        (
            TrainingBegan(attempt=1, step=1, loss=0.8372, metric="train_rmse", seconds=1.0),
            "trains: step 1, train_rmse 0.8372 (reported by the script), 1.0 s after the attempt began",
        ),
        (
            TrackerSaid(attempt=1, name="wandb", state="on", mode="online", id="a-1", where="http://x"),
            "wandb: online, id a-1, http://x",
        ),
        (
            TrackerSaid(attempt=1, name="wandb", state="failed", message="no disk"),
            "warning: wandb does not track: no disk; history.jsonl has everything",
        ),
        (TrackerSaid(attempt=1, name="wandb", state="ended"), None),
        (WarningGiven(attempt=1, message="hot"), "warning: hot"),
        (
            RuleFired(
                attempt=1,
                rule=0,
                action="stop",
                step=8,
                condition="val_loss > 2",
                message="val_loss is 2.5 at step 8 in epoch 1",
            ),
            "stop: val_loss > 2: val_loss is 2.5 at step 8 in epoch 1; why: it has learned nothing",
        ),
        (
            RuleFired(
                attempt=1, rule=1, action="warn", step=1, condition="out of memory", message="out of memory at step 1"
            ),
            "warn: out of memory at step 1",
        ),
        (
            Resumed(attempt=1, file="checkpoints/s.pt", epoch=1, step=8),
            "went on from checkpoints/s.pt, epoch 1, step 8",
        ),
        (Retried(attempt=1, retry=1, of=2, reason="killed"), "started again, 1 of 2: killed"),
        (CheckpointSaved(attempt=1, file="checkpoints/s.pt", step=8), None),
    ],
)
def test_events_are_told_in_a_line(run: RunView, event: Event, text: str | None) -> None:
    assert run.note(event) == text


SNAPSHOT = RunSnapshot(
    run="toy-run",
    stage="train",
    attempt=1,
    epoch=2,
    epochs=3,
    step=1200,
    examples=450,
    total=900,
    metrics="loss/total 0.05",
    examples_per_second=12345.6,
    seconds_left=61.0,
    spent=0.12,
    projected=0.45,
    budget=5.0,
    thresholds=("val_loss > 0.6: at 0.5, room 0.1",),
)


def test_a_run_is_drawn_in_a_few_lines() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(drawn(SNAPSHOT))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0].startswith("toy-run train ━")
    assert lines[0].endswith(" 50% epoch 2/3 61s left")
    assert lines[1:] == [
        "  pace     step 1,200, 12,346 examples/s",
        "  metrics  loss/total 0.05",
        "  cost     $0.12 so far, $0.45 projected of $5.00",
        "  limits   val_loss > 0.6: at 0.5, room 0.1",
    ]


def test_a_narrow_terminal_cuts_lines_instead_of_wrapping_them() -> None:
    out = io.StringIO()
    Console(file=out, width=30).print(drawn(SNAPSHOT))
    assert out.getvalue().splitlines()[-1].endswith("…")


def test_a_pipe_gets_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now, out = [0.0], io.StringIO()
    monkeypatch.setattr("cardrunner.tracking.progress.time.monotonic", lambda: now[0])
    with NullProgress(out).board() as board:
        for second in range(150):
            now[0] = float(second)
            board.show(lambda: SNAPSHOT)
    line = "epoch 2/3, step 1,200 (50%), loss/total 0.05, 12,346 examples/s, 61s left, "
    line += "$0.12 so far, $0.45 projected of $5.00"
    assert out.getvalue().splitlines() == [line, line]
    assert described(SNAPSHOT) == line


def test_nothing_is_drawn_when_nobody_looks() -> None:
    with NullProgress().board() as board:
        board.show(lambda: SNAPSHOT)


def test_the_board_is_gone_when_the_run_has_ended_and_the_lines_stay() -> None:
    out = io.StringIO()
    shown = RichProgress(Console(file=out, force_terminal=True, width=100, no_color=True))
    with shown.board() as board:
        board.show(lambda: SNAPSHOT)
        shown.note("warning: [this] stays")
    assert "warning: [this] stays" in out.getvalue()
