# ruff: noqa: E501 - one row of a table is one line
"""Histories from anywhere: read as they are meant, or refused with the line and the column."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, strategies as st

from cardrunner.errors import UsageError
from cardrunner.histories import read_history
from cardrunner.kill_rules import Row, RuleHistory
from cardrunner.workloads.toy.spec import SPEC
from tests.examples import examples

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file: ``write("history.csv", "step,val_loss", "1,2")``."""

    def make(name: str, *lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return path

    return make


def rows(path: Path, **columns: str) -> list[Row]:
    return list(read_history(path, SPEC, columns=columns).rows)


def said(path: Path, **columns: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_history(path, SPEC, columns=columns)
    return str(caught.value).replace(str(path), path.name)


# ------------------------------------------------------------ what is read


def test_the_history_of_a_run_is_read_as_the_run_saw_it(toy_run: Any) -> None:
    run = toy_run().train()
    found = rows(run.folder.history)
    assert [(row.kind, row.epoch, row.step) for row in found] == [(row.kind, row.epoch, row.step) for row in run.rows]
    assert [row.progress for row in found[:4]] == [0.375, 0.75, 1.0, 1.125]
    validation = found[2]
    assert validation.metrics["accuracy"] == validation.metrics["val_metric/accuracy"]
    assert validation.epoch_means["loss/total"] == run.rows[2].metrics["loss/total"]
    assert {"epoch_time", "wall_time", "cost"} < validation.metrics.keys()
    assert [("examples_per_second" in row.metrics) for row in found[:4]] == [False, True, False, True]


def test_lines_of_a_run_that_a_crash_tore_are_left_out(toy_run: Any) -> None:
    run = toy_run().train()
    lines = run.folder.history.read_bytes().splitlines(keepends=True)
    run.folder.history.write_bytes(b"".join([*lines[:2], lines[2][:40] + b"\n", *lines[3:-1], lines[-1][:-20]]))
    found = read_history(run.folder.history, SPEC)
    assert [row.step for row in found.rows] == [row.step for row in run.rows]
    torn, damage = found.notes
    assert torn == "2 torn lines are left out, as a crash leaves them"
    assert damage.startswith("history.jsonl: missing: one or more lines before line 4 are missing")  # no crash goes on


def test_a_changed_row_of_a_run_is_named(toy_run: Any) -> None:
    run = toy_run().train()
    run.folder.history.write_bytes(
        run.folder.history.read_bytes().replace(b'"learning_rate": 0.01', b'"learning_rate": 0.02', 1)
    )
    assert read_history(run.folder.history, SPEC).notes == (
        "history.jsonl: changed: line 1 is not what was written: its checksum differs",
    )


def test_a_csv_has_metrics_by_name_or_alias(write: Write) -> None:
    path = write("h.csv", "epoch,step,val_loss,accuracy,loss/total,note", "1,10,0.5,90e-2,0.7,hello", "2,20,,.95,,")
    first, validation, last = rows(path)
    assert (first.kind, first.epoch, first.step, first.progress, first.metrics) == (
        "train",
        1,
        10,
        0.0,
        {"loss/total": 0.7},
    )
    assert (validation.kind, validation.progress, validation.epoch_means) == ("validation", 1.0, {"loss/total": 0.7})
    assert validation.metrics["val_loss/total"] == validation.metrics["val_loss"] == 0.5
    assert "val_loss" not in last.metrics
    assert last.metrics["val_metric/accuracy"] == 0.95


def test_a_chart_exported_from_wandb_is_a_csv_with_the_runs_name(write: Write) -> None:
    head = '"Step","brave - sun-7 - val_loss","brave - sun-7 - val_loss__MIN","brave - sun-7 - val_loss__MAX"'
    path = write("wandb_export.csv", head, '"8","0.9","0.9","0.9"', '"16","NaN","",""')
    found = read_history(path, SPEC)
    assert [(row.epoch, row.step) for row in found.rows] == [(1, 8), (2, 16)]
    assert math.isnan(found.rows[1].metrics["val_loss/total"])
    assert found.notes == ("it has no epochs: each validation counts as the end of one",)


def test_a_history_exported_from_wandb_is_lines_of_json(write: Write) -> None:
    path = write(
        "history.jsonl",
        '{"_step": 3, "_runtime": 6.5, "_timestamp": 1.7e9, "epoch": 0, "loss/total": 1.5, "media": {"_type": "image"}}',
        '{"_step": 8, "_runtime": 9.0, "epoch": 0, "val_loss": NaN, "accuracy": "Infinity"}',
        '{"_step": 16, "_runtime": 20, "epoch": 1, "val_loss": 1e400, "accuracy": null}',
    )
    found = read_history(path, SPEC)
    log_point, first, second = found.rows
    assert (log_point.kind, log_point.epoch, log_point.progress, log_point.seconds) == ("train", 1, 0.0, 6.5)
    assert (first.epoch, first.progress, first.metrics["wall_time"]) == (1, 1.0, 9.0)
    assert first.metrics["accuracy"] == second.metrics["val_loss"] == math.inf
    assert found.notes == (
        "epochs count from 0 there; they are read from 1",
        "its times are those since the start, loading included",
    )


def test_a_number_of_json_that_is_none_stays_none(write: Write) -> None:
    (row,) = rows(write("h.jsonl", "", ' {"epoch": 1, "val_loss": NaN, "accuracy": -Infinity}'))
    assert math.isnan(row.metrics["val_loss"])
    assert row.metrics["accuracy"] == -math.inf


def test_steps_that_stand_still_hide_no_epoch(write: Write) -> None:
    found = read_history(write("h.csv", "epoch,step,val_loss", "1,0,.9", "2,0,.25", "3,0,.25"), SPEC)
    watched = RuleHistory(found.rows)
    assert [row.epoch for row in watched.validated("val_loss")] == [1, 2, 3]


def test_epochs_may_be_counted_in_parts(write: Write) -> None:
    path = write("h.csv", "epoch,loss/total,val_loss", "0.25,2,", "0.5,2,", "1.0,,1", "1.25,1,")
    assert [(row.epoch, row.progress) for row in rows(path)] == [(1, 0.25), (1, 0.5), (1, 1.0), (2, 1.25)]


def test_a_metric_of_another_name_can_be_pointed_at(write: Write) -> None:
    path = write("h.csv", "step;valid.loss;val_loss", "1;0.5;9")
    (row,) = rows(path, **{"val_loss": "valid.loss"})
    assert row.metrics["val_loss/total"] == 0.5


def test_tabs_semicolons_byte_order_marks_and_blank_lines_are_let_pass(write: Write) -> None:
    path = write("h.tsv", "\ufeffstep\tval_loss", "1\t0.5", "", "2\t0.4")
    assert [row.step for row in rows(path)] == [1, 2]


def test_quantities_of_the_run_may_be_columns_too(write: Write) -> None:
    path = write("h.csv", "step,examples_per_second,cost,val_loss", "1,900,0.5,", "2,800,0.6,1")
    first, second = rows(path)
    assert (first.kind, first.metrics) == ("train", {"examples_per_second": 900.0, "cost": 0.5})
    assert (second.kind, second.metrics["cost"]) == ("validation", 0.6)


# ------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (("step,val_loss", "1,0.5", "2,half"), 'h.csv:3: column "val_loss": "half" is not a number'),
        (("step;val_loss", "1;0,5"), 'h.csv:2: column "val_loss": "0,5" is not a number; write a decimal point'),
        (("step,val_loss", "1,1_0"), 'h.csv:2: column "val_loss": "1_0" is not a number'),
        (("step,val_loss", "1,\x1b[31m"), 'h.csv:2: column "val_loss": "�[31m" is not a number'),
        (("step,val_loss", "5,1", "4,1"), 'h.csv:3: column "step": 4 comes after 5; a history goes forward'),
        (("step,val_loss", "1.5,1"), 'h.csv:2: column "step": a step is a whole number, from 0'),
        (("step,val_loss", "nan,1"), 'h.csv:2: column "step": a step is a whole number, from 0'),
        (("epoch,val_loss", "2,1", "1,1"), 'h.csv:3: column "epoch": 1 comes after a larger one; a history goes forward'),
        (("epoch,val_loss", "-1,1"), 'h.csv:2: column "epoch": an epoch is a number, from 0'),
        (("step,val_loss", "1"), "h.csv:2: this line has 1 cells, the head has 2 columns"),
        (("step,val_loss", '1,"0.5'), "h.csv:2: this is not valid CSV: unexpected end of data"),
        (("step,step,val_loss", "1,1,1"), 'h.csv:1: column "step" occurs twice'),
        (("step,val_loss,val_loss/total", "1,1,1"), 'h.csv: columns "val_loss" and "val_loss/total" are the same metric; remove one'),
        (("Step,a - val_loss,b - val_loss", "1,1,1"), 'h.csv: its columns are of 2 runs ("a - val_loss" and "b - val_loss"); export one of them'),
        (("step,loss", "1,1"), "h.csv: none of its columns is a metric of toy; name one with --column METRIC=COLUMN"),
        (("step,val_loss", "1,"), "h.csv: its columns of metrics are empty"),
        (("step,val_loss",), "h.csv has no rows"),
        ((), "h.csv has no rows"),
        (("[", "]"), "h.csv:1:1: this is a JSON array; write one object a line"),
        (('{"val_loss": 1}', '{"val_loss": }'), "h.csv:2:14: this is not JSON: Expecting value"),
        (('{"val_loss": 1}', "3"), "h.csv:2:1: a row of a history is an object; write one a line"),
        (('{"val_loss": 1, "val_loss": 2}',), 'h.csv:1: "val_loss" occurs twice'),
        (('{"val_loss": true}',), 'h.csv:1: column "val_loss": is not a number'),
        (('{"val_loss": [1]}',), 'h.csv:1: column "val_loss": is not a number'),
        (('{"metrics": {}, "clock": {}}',), "h.csv:1: kind: Field required; this is not a row of a run"),
    ],
)  # fmt: skip
def test_what_is_no_history_is_told_with_its_place(write: Write, lines: tuple[str, ...], sentence: str) -> None:
    assert said(write("h.csv", *lines)) == sentence


def test_files_that_are_none_are_told(write: Write, tmp_path: Path) -> None:
    assert said(tmp_path) == f"{tmp_path.name} is not a file with a history; give a run, a .jsonl or a .csv"
    assert said(tmp_path / "gone.csv") == "gone.csv is not a file with a history; give a run, a .jsonl or a .csv"
    wide = write("run.wandb", ":W&B step", encoding="utf-16")
    assert said(wide) == "run.wandb: byte 0 is not UTF-8; this is neither CSV nor JSON lines"


def test_a_column_that_is_chosen_has_to_be_there(write: Write) -> None:
    path = write("h.csv", "step,valid.loss", "1,1")
    assert said(path, val_loss="valid") == 'h.csv: there is no column "valid"; there are step, valid.loss'
    assert said(path, loss="valid.loss").startswith(
        '--column: nothing computes a metric "loss"; there are val_loss/total'
    )


@examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=80),
        st.lists(st.sampled_from(["step,val_loss\n", "epoch;accuracy\n", '{"val_loss": 1}\n', "1,2\n", '"', "nan,inf\n",
                                  "{}\n", "9e99,1\n", ",\n", "\x00,1\n", "0;0\n"]), max_size=5).map(lambda parts: "".join(parts).encode()),
    )
)  # fmt: skip
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(data)
    with contextlib.suppress(UsageError):
        found = rows(path)
        assert all(earlier.step <= later.step for earlier, later in pairwise(found))
