"""Readings of several sources joined to rows."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hypothesis import given, settings, strategies as st

from cardrunner.workloads.command.reports.base import Reading
from cardrunner.workloads.command.reports.rows import Declared, ReportedRow, Rows

DECLARED = (
    Declared(name="val_loss", reads=("val/loss", "eval_loss"), at="validation"),
    Declared(name="loss", reads=("loss",), at="log"),
    Declared(name="lr", reads=("lr",), at="log"),
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def read(step: int, where: str = "stdout", **values: float) -> Reading:
    return Reading(step, {name.replace("val_", "val/"): value for name, value in values.items()}, where)


def rows(rows: Iterable[ReportedRow]) -> list[tuple[str, int, dict[str, float]]]:
    return [(row.kind, row.step, dict(row.values)) for row in rows]


def test_values_of_one_step_and_kind_make_one_row_whatever_source_they_come_from() -> None:
    joined = Rows(DECLARED, clock=Clock())
    assert rows(joined.take([read(1, loss=0.5), read(1, "tensorboard", lr=0.1), read(1, val_loss=2, other=1)])) == []
    assert rows(joined.take([read(2, loss=0.25)])) == [
        ("log", 1, {"loss": 0.5, "lr": 0.1}), ("validation", 1, {"val_loss": 2}),
    ]  # fmt: skip
    assert rows(joined.finish()) == [("log", 2, {"loss": 0.25})]
    assert set(joined.seen.names) == {"loss", "lr", "val/loss", "other"}


def test_a_row_is_closed_after_two_seconds() -> None:
    clock = Clock()
    joined = Rows(DECLARED, clock=clock)
    assert rows(joined.take([read(1, loss=0.5)])) == []
    clock.now = 1.9
    assert rows(joined.due()) == []
    clock.now = 2.0
    assert rows(joined.due()) == [("log", 1, {"loss": 0.5})]


def test_sources_of_which_one_is_read_after_the_other_are_joined_step_by_step() -> None:
    joined = Rows(DECLARED, clock=Clock())
    found = rows(joined.take([*(read(n, loss=n) for n in range(3)), *(read(n, "csv", lr=n) for n in range(3))]))
    assert found == [("log", n, {"loss": n, "lr": n}) for n in range(2)]


def test_a_value_that_comes_after_its_row_was_closed_has_a_late_row() -> None:
    joined = Rows(DECLARED, clock=Clock())
    list(joined.take([read(1, loss=1), read(2, loss=2), read(3, loss=3)]))
    (late,) = [row for row in [*joined.take([read(1, "tensorboard", lr=0.1)]), *joined.finish()] if row.step == 1]
    assert late.late
    assert late.values == {"lr": 0.1}
    assert late.sources == ("tensorboard",)


@given(
    steps=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["stdout", "csv"])), max_size=30),
    look=st.integers(1, 9),
)
@settings(deadline=None)
def test_each_metric_and_step_comes_once_and_forward(steps: list[tuple[int, str]], look: int) -> None:
    joined, found = Rows(DECLARED, clock=Clock()), list[int]()
    readings = [read(step, where, loss=step) for step, where in steps]
    for start in range(0, len(readings), look):
        found += [row.step for row in joined.take(readings[start : start + look])]
    found += [row.step for row in joined.finish()]
    assert found == sorted(set(found))
    assert joined.disagreements == 0


def test_steps_up_to_the_resumed_one_are_dropped_and_prove_no_start() -> None:
    joined = Rows(DECLARED, after=100, clock=Clock())
    assert rows([*joined.take([read(90, loss=1), read(100, loss=1, hp_metric=-1)]), *joined.finish()]) == []
    assert not joined.started
    assert joined.before_resume == 2
    assert rows([*joined.take([read(110, loss=1)]), *joined.finish()]) == [("log", 110, {"loss": 1})]
    assert joined.started
    assert joined.notices == []


def test_undeclared_values_prove_no_start() -> None:
    joined = Rows(DECLARED, clock=Clock())
    list(joined.take([read(0, hp_metric=-1)]))
    assert not joined.started


def test_steps_that_go_back_are_named_once() -> None:
    joined = Rows(DECLARED, clock=Clock())
    list(joined.take([read(10, loss=1)]))
    list(joined.take([read(1, loss=1), read(2, loss=1)]))
    (notice,) = joined.notices
    assert notice.sentence == (
        "loss of stdout went back from step 10 to 1: values of steps that were recorded are left out; if the step"
        " counts from 0 in each epoch, report one that goes on"
    )
    assert joined.summary() == "2 values of steps that go back"


def test_two_sources_that_disagree_are_counted_and_named() -> None:
    joined = Rows(DECLARED, clock=Clock())
    list(joined.take([read(1, loss=0.6941), read(1, "csv", loss=0.69412), read(1, "tensorboard", loss=math.nan)]))
    list(joined.take([read(1, "csv", loss=0.7)]))
    (notice,) = joined.notices
    assert notice.sentence == "loss at step 1 is 0.6941 by stdout and nan by tensorboard; the first counts"
    assert joined.disagreements == 2
    assert joined.summary() == "2 values on which sources disagree"


def test_the_epoch_is_that_of_the_reading_or_of_a_named_value() -> None:
    named = Rows(DECLARED, epoch_from="train/epoch", clock=Clock())
    list(named.take([Reading(1, {"loss": 1.0, "train/epoch": 0.5}, "tensorboard")]))
    assert [row.epoch for row in named.finish()] == [0.5]
    plain = Rows(DECLARED, clock=Clock())
    list(plain.take([Reading(1, {"loss": 1.0}, "csv", 2.0), Reading(1, {"lr": 1.0}, "stdout")]))
    assert [row.epoch for row in plain.finish()] == [2.0]


def test_a_thousand_names_are_kept_and_more_are_counted() -> None:
    joined = Rows(DECLARED, clock=Clock())
    list(joined.take([Reading(1, {f"name{n}": 1.0 for n in range(1_200)}, "csv")]))
    assert len(joined.seen.names) == 1_000
    assert joined.seen.more == 200
