"""Declared metrics that do not come."""

from __future__ import annotations

from cardrunner.workloads.command.reports.base import Kind
from cardrunner.workloads.command.reports.missing import Expected
from cardrunner.workloads.command.reports.rows import Declared, ReportedRow, Seen

LOSS = Declared(name="loss", reads=("loss",), at="log")
VAL = Declared(name="val_loss", reads=("val/loss",), at="validation")


def row(step: int, kind: Kind = "log", **values: float) -> ReportedRow:
    return ReportedRow(kind=kind, step=step, epoch=None, values=values, sources=("stdout",))


def seen(*names: str) -> Seen:
    return Seen(dict.fromkeys(names, 1))


def missing(expected: Expected, names: Seen, seconds: float = 1.0) -> list[str]:
    return [found.sentence for found in expected.missing(names, seconds=seconds)]


def test_a_metric_that_never_comes_is_named_with_what_was_seen_and_told_once() -> None:
    expected = Expected([LOSS, VAL], first_metric=600)
    for step in range(9):
        expected.row(row(step, loss=1))
    assert missing(expected, seen("loss", "lr", "val_loss"), 599) == []
    assert missing(expected, seen("loss", "lr", "val_loss"), 600) == [
        'val/loss was never reported within 10 min; seen: loss, lr, val_loss; did you mean "val_loss"?'
    ]
    assert missing(expected, seen("loss"), 700) == []


def test_others_of_its_kind_that_came_three_times_are_enough() -> None:
    expected = Expected([LOSS, Declared(name="acc", reads=("acc", "accuracy"), at="log")], first_metric=600)
    for step in (10, 20):
        expected.row(row(step, loss=1))
    assert missing(expected, seen("loss")) == []
    expected.row(row(30, loss=1))
    assert missing(expected, seen("loss")) == [
        "acc or accuracy was never reported while 3 rows of its kind (log) came; seen: loss"
    ]


def test_a_stated_interval_takes_the_place_of_the_time() -> None:
    expected = Expected(
        [LOSS, Declared(name="val_loss", reads=("val/loss",), at="validation", every=100)], first_metric=1
    )
    for step in (0, 299):
        expected.row(row(step, loss=1))
    assert missing(expected, seen("step_time"), 3600) == []
    expected.row(row(300, loss=1))
    assert missing(expected, seen("step_time"), 3600) == [
        "val/loss was never reported at step 300, though it should come every 100 steps; seen: step_time"
    ]


def test_a_metric_with_a_time_of_its_own_waits_that_long() -> None:
    expected = Expected([Declared(name="val_loss", reads=("val/loss",), at="validation", within=7200)], first_metric=1)
    assert missing(expected, seen(), 7199) == []
    assert missing(expected, seen(), 7200) == ["val/loss was never reported within 2h; no other name was seen either"]


def test_a_metric_that_ends_while_others_go_on_is_missing_too() -> None:
    expected = Expected([LOSS, Declared(name="acc", reads=("acc",), at="log")], first_metric=600)
    for step in range(0, 100, 10):
        expected.row(row(step, loss=1, acc=1) if step in (0, 20) else row(step, loss=1))
    assert missing(expected, seen("loss", "acc")) == [
        "acc was reported until step 20 and no more, while others are at step 90"
    ]


def test_many_names_are_shortened() -> None:
    expected = Expected([LOSS], first_metric=1)
    (sentence,) = missing(expected, Seen({f"n{n:03}": 1 for n in range(50)}, more=7), 2)
    assert sentence.endswith("n011 and 45 more")
