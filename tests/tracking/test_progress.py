from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rich.console import Console

from cardrunner.common.clock import utc_now
from cardrunner.contracts import Progress, Task
from cardrunner.runs.events import RuleFired
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.ledger import Ledger
from cardrunner.tracking.follow import follow
from cardrunner.tracking.progress import NullProgress, RichProgress, make_progress, showing, shown
from tests.ledger_lines import record


def work(progress: Progress) -> None:
    progress.stage("load")
    with progress.task("reading [file]", 10, unit="B") as task:
        task.advance(4, info="[odd]")
        task.advance(6)
    progress.note("done with [this]")


def test_a_terminal_shows_text_as_it_is() -> None:
    out = io.StringIO()
    work(RichProgress(Console(file=out, force_terminal=True, width=120)))
    assert "reading [file]" in out.getvalue()
    assert "done with [this]" in out.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    out = io.StringIO()
    work(NullProgress(out))
    assert out.getvalue() == "stage load\ndone with [this]\n"


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    work(make_progress(quiet=True))
    assert capsys.readouterr() == ("", "")


def test_piped_output_gets_no_bars(capsys: pytest.CaptureFixture[str]) -> None:
    work(make_progress(quiet=False))
    assert capsys.readouterr() == ("", "stage load\ndone with [this]\n")


def test_a_reader_that_left_stops_nothing() -> None:
    gone = io.StringIO()
    gone.close()
    NullProgress(gone).note("nobody reads this")


def test_a_worker_in_this_process_shows_itself_where_the_launcher_does() -> None:
    chosen = NullProgress()
    with showing(chosen):
        assert shown() is chosen
    assert shown() is not chosen


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done = 0

    def stage(self, name: str) -> None:
        self.lines.append(f"stage {name}")

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:
        yield self

    def advance(self, amount: int = 1, *, info: str = "") -> None:
        self.done += amount

    def note(self, text: str) -> None:
        self.lines.append(text)


def row(step: int, kind: str = "train", **metrics: float) -> HistoryRow:
    return HistoryRow.model_validate(
        {
            "kind": kind, "epoch": 1, "step": step, "examples": 10 * step, "learning_rate": 0.1, "metrics": metrics,
            "clock": Clock(at=utc_now(), seconds=1.0),
        }
    )  # fmt: skip


def test_following_misses_nothing_and_leaves_earlier_attempts_out(
    toy_run: Callable[..., Any], toy_card: Callable[..., Any]
) -> None:
    folder: RunFolder = toy_run().folder
    ledger, history, heard = Ledger(folder.ledger), History(folder.history), Heard()
    record(ledger, "stage_started", attempt=1, stage="earlier")
    record(ledger, "submitted", executor="local", detach=False)
    record(ledger, "stage_started", attempt=2, stage="load")
    over = threading.Event()

    def write() -> None:
        for step in range(1, 6):
            history.append(row(step, loss=0.5))
            time.sleep(0.05)
        ledger.append(RuleFired(attempt=2, rule=0, action="warn", step=8, message="val_loss is 0.5"))
        time.sleep(0.01)  # times have milliseconds
        history.append(row(5, "validation", val_loss=0.5))
        time.sleep(0.01)
        record(ledger, "stage_started", attempt=2, stage="checkpoint")
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    follow(toy_card(), folder, lambda: not over.is_set(), heard)
    writer.join()
    assert heard.lines == ["stage load", "warn: val_loss is 0.5", "epoch 1/3: val_loss 0.5", "stage checkpoint"]
