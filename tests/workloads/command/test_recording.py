"""Rows of the history from what a script reports: its epochs and how far it has come, over several attempts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cardrunner.runs.history import History
from cardrunner.training.budget import Spending
from cardrunner.workloads.command.recording import Distance, RowRecorder
from cardrunner.workloads.command.reports.base import Kind
from cardrunner.workloads.command.reports.rows import ReportedRow
from cardrunner.workloads.command.sections import CommandTraining


def training(**length: int) -> CommandTraining:
    return CommandTraining.model_validate(
        {
            "command": ("python", "train.py"),
            "length": length,
            "metrics": ({"name": "val_loss", "direction": "min"}, {"name": "loss", "direction": "min", "at": "log"}),
        }
    )


def recorder(folder: Path, distance: Distance) -> RowRecorder:
    spending = Spending(time.monotonic(), 0.0, 0.0)
    return RowRecorder(History(folder / "history.jsonl"), 1, distance, spending, 0.0)


def row(step: int, epoch: float, kind: Kind = "validation") -> ReportedRow:
    return ReportedRow(kind, step, epoch, {"val_loss" if kind == "validation" else "loss": 1.0}, ("stdout",))


def test_a_script_that_counts_epochs_from_zero_has_come_to_the_whole_with_the_last_of_them(tmp_path: Path) -> None:
    distance = Distance(training(epochs=4))
    rows = recorder(tmp_path, distance)
    written = [rows.write(row(step, step)) for step in range(4)]
    assert [found.epoch for found in written if found] == [1, 2, 3, 4]
    assert distance.share == 1


@pytest.mark.parametrize("first", [0, 1])
def test_the_epoch_of_a_training_row_is_the_one_that_runs_whether_it_counts_from_zero_or_one(
    tmp_path: Path, first: int
) -> None:
    rows = recorder(tmp_path, Distance(training(epochs=3)))
    written = [rows.write(row(step, first + step // 2, "log")) for step in range(6)]
    assert [found.epoch for found in written if found] == [1, 1, 2, 2, 3, 3]


def test_parts_of_epochs_begin_the_next_one_and_the_last_row_is_of_the_last_epoch(tmp_path: Path) -> None:
    rows = recorder(tmp_path, Distance(training(epochs=2)))
    written = [rows.write(row(step, epoch, "log")) for step, epoch in enumerate((0.25, 0.75, 1.25, 2.0))]
    assert [found.epoch for found in written if found] == [1, 1, 2, 2]


def test_a_resumed_script_that_counts_from_zero_comes_to_the_whole_too(tmp_path: Path) -> None:
    first = Distance(training(epochs=4))
    recorder(tmp_path, first).write(row(0, 0))
    distance = Distance(training(epochs=4), first.first)
    rows = recorder(tmp_path, distance)
    for step in range(1, 4):
        rows.write(row(step, step))
    assert distance.share == 1


def test_a_resume_that_has_nothing_left_to_train_has_come_as_far_as_the_history(tmp_path: Path) -> None:
    recorder(tmp_path, Distance(training(steps=10))).write(row(10, 0))
    distance = Distance(training(steps=10))
    recorder(tmp_path, distance)
    assert distance.share == 1
