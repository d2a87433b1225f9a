"""How far the rows of a trial came, and how long the whole takes by that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cardrunner.workloads.command.reports.base import Reading
from cardrunner.workloads.command.sections import CommandTraining, ReportedMetric, RunLength
from cardrunner.workloads.command.trying.reach import Reach


def reach(length: Mapping[str, Any] | None, *rows: tuple[float, int, float | None]) -> Reach:
    """Of rows that come at some seconds, each with its step and its epoch."""
    stated = None if length is None else RunLength.model_validate(length)
    metrics = (ReportedMetric(name="val_loss", direction="min"),)
    found = Reach(CommandTraining(command=("python",), metrics=metrics, length=stated))
    for at, step, epoch in rows:
        found.reading(Reading(step, {"val_loss": 0.5, "passes": step / 100}, "stdout", epoch), at)
    return found


@pytest.mark.parametrize(
    ("length", "rows", "sentence", "whole"),
    [
        (
            {"epochs": 30},
            [(1.0, 1, 1.0), (12.0, 12, 12.0)],
            "rows came up to epoch 12 of 30, 40 %",
            30.0,
        ),
        ({"epochs": 30}, [(1.0, 0, 0.0), (12.0, 11, 11.0)], "rows came up to epoch 12 of 30, 40 %", 30.0),
        ({"steps": 2_000}, [(5.0, 200, None), (9.0, 400, None)], "rows came up to step 400 of 2,000, 20 %", 41.0),
        (
            {"epochs": 8, "from": "passes"},
            [(1.0, 100, None), (2.0, 200, None)],
            "rows came up to epoch 2 of 8, 25 %",
            8.0,
        ),
    ],
)
def test_the_rows_tell_the_progress_and_how_long_the_whole_takes(
    length: Mapping[str, Any], rows: list[tuple[float, int, float | None]], sentence: str, whole: float
) -> None:
    found = reach(length, *rows)
    assert found.sentence() == sentence
    assert found.whole_seconds == pytest.approx(whole)


@pytest.mark.parametrize(
    ("length", "rows", "why"),
    [
        (None, [(1.0, 1, 1.0)], "the card has no training.length"),
        ({"steps": 10}, [], "no row came"),
        ({"epochs": 30}, [(1.0, 1, None)], r"no row has one; name it by a group (?P<epoch>\d+) of a pattern"),
        ({"epochs": 30, "from": "turns"}, [(1.0, 1, None)], "counts epochs by turns, which did not come"),
    ],
)
def test_what_keeps_the_progress_unknown_is_said(
    length: Mapping[str, Any] | None, rows: list[tuple[float, int, float | None]], why: str
) -> None:
    found = reach(length, *rows)
    assert found.sentence().startswith("nothing tells the progress: ")
    assert why in found.sentence()
    assert found.whole_seconds is None
