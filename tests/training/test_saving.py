"""Which epoch is the best one."""

from __future__ import annotations

import math
from typing import Literal

import pytest

from cardrunner.runs.history import Clock, HistoryRow
from cardrunner.runs.records import BestRecord
from cardrunner.training.saving import new_best

NAME = "val_score"


def row(value: float, epoch: int) -> HistoryRow:
    return HistoryRow(
        kind="validation",
        epoch=epoch,
        step=8 * epoch,
        examples=256 * epoch,
        learning_rate=0.1,
        metrics={NAME: value},
        clock=Clock(at="2026-03-01T12:00:00.000Z", seconds=1.0),
    )


def best_epoch(mode: Literal["min", "max"], *values: float) -> int | None:
    best: BestRecord | None = None
    for epoch, value in enumerate(values, start=1):
        best = new_best(best, row(value, epoch), NAME, mode) or best
    return best.epoch if best else None


@pytest.mark.parametrize(("mode", "values"), [("min", (0.5, 0.25, 0.25, 0.5)), ("max", (0.5, 0.75, 0.75, 0.5))])
def test_of_epochs_that_are_as_good_the_earliest_stays_the_best(
    mode: Literal["min", "max"], values: tuple[float, ...]
) -> None:
    assert best_epoch(mode, *values) == 2


@pytest.mark.parametrize(("mode", "better"), [("min", 0.1), ("max", 0.9)])
def test_a_better_epoch_takes_its_place(mode: Literal["min", "max"], better: float) -> None:
    assert best_epoch(mode, 0.5, better, 0.5) == 2


@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_epoch_without_a_number_is_never_the_best(mode: Literal["min", "max"]) -> None:
    assert best_epoch(mode, math.nan, math.inf, -math.inf) is None
    assert best_epoch(mode, math.nan, 0.5, math.nan, math.inf, -math.inf) == 2
