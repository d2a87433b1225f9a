"""A run that is followed shows what is new since its newest submission."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from cardrunner.common.clock import utc_now
from cardrunner.runs.events import AttemptStarted, Submitted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.ledger import Ledger
from cardrunner.tracking.follow import follow
from cardrunner.tracking.progress import NullProgress


def attempt(folder: RunFolder, number: int, *steps: int) -> int:
    """Of a run, with its validations; the size of the ledger before it was submitted."""
    size = folder.ledger.stat().st_size
    ledger = Ledger(folder.ledger)
    ledger.append(Submitted(executor="local"))
    ledger.append(AttemptStarted(attempt=number, executor="local"))
    history = History(folder.history)
    for step in steps:
        clock = Clock(at=utc_now(), attempt=number, seconds=1.0)
        metrics = {"val_loss/total": 0.5}
        history.append(HistoryRow(kind="validation", epoch=step // 8, step=step, metrics=metrics, clock=clock))
    return size


@pytest.mark.parametrize("attached", [False, True])
def test_rows_of_earlier_attempts_are_one_line(
    toy_run: Callable[..., Any], toy_card: Callable[..., Any], *, attached: bool
) -> None:
    folder = toy_run().folder
    attempt(folder, 1, 8, 16)
    since = attempt(folder, 2, 24)
    said = io.StringIO()
    follow(toy_card(), folder, lambda: False, NullProgress(said), since=None if attached else since)
    lines = said.getvalue().splitlines()
    assert "2 rows of earlier attempts, up to step 16" in lines
    assert [line for line in lines if "val_loss" in line] == ["epoch 3/3: val_loss/total 0.5"]


def test_a_first_attempt_shows_its_rows(toy_run: Callable[..., Any], toy_card: Callable[..., Any]) -> None:
    folder = toy_run().folder
    since = attempt(folder, 1, 8, 16)
    said = io.StringIO()
    follow(toy_card(), folder, lambda: False, NullProgress(said), since=since)
    assert "earlier attempts" not in said.getvalue()
    assert said.getvalue().count("val_loss") == 2
