"""dvclive's and MLflow's files, and trainer_state.json."""

from __future__ import annotations

import json
import shutil
from operator import itemgetter
from pathlib import Path

import pytest

from cardrunner.workloads.command.reports import whole_json
from cardrunner.workloads.command.reports.mlflow import mlflow_store
from cardrunner.workloads.command.reports.whole_json import dvclive, trainer_state
from tests.workloads.command.reports.helpers import REAL, all_of, triples


def test_dvclives_own_files_are_read() -> None:
    source = dvclive(str(REAL / "dvclive"), name="dvclive")
    found = triples(all_of(source))  # its files in the order of their times, which a checkout chooses
    assert sorted((each for each in found if each[1] == "val/loss"), key=itemgetter(0))[:3] == [
        (0, "val/loss", 2.0), (1, "val/loss", "nan"), (2, "val/loss", 0.6666666666666666),
    ]  # fmt: skip
    assert (2, "plain", 3.0) in found, "a metric without a plot is only in metrics.json"
    assert source.garbage.count == 0


def test_dvclive_going_on_gives_only_its_new_steps(tmp_path: Path) -> None:
    shutil.copytree(REAL / "dvclive", tmp_path / "dvclive")
    source = dvclive(str(tmp_path / "dvclive"), name="dvclive")
    source.begin()
    with (tmp_path / "dvclive" / "plots" / "metrics" / "val" / "loss.tsv").open("a") as stream:
        stream.write("3\t0.5\n")
    assert triples(all_of(source)) == [(3, "val/loss", 0.5)]


def test_mlflows_own_store_is_read() -> None:
    source = mlflow_store(str(REAL / "mlruns"), name="mlflow")
    found = triples(all_of(source))
    assert sorted(each for each in found if each[1] == "val/loss") == sorted(
        [(10, "val/loss", 2.0), (20, "val/loss", "nan"), (30, "val/loss", 0.6666666666666666)], key=str
    )
    assert (30, "big", float("inf")) in found
    assert source.garbage.count == 0


def test_mlflow_lines_that_are_torn_or_short(tmp_path: Path) -> None:
    metric = tmp_path / "mlruns" / "0" / "run" / "metrics" / "metrics" / "loss"
    metric.parent.mkdir(parents=True)
    source = mlflow_store(str(tmp_path / "mlruns"), name="mlflow", wanted=frozenset({"metrics/loss"}))
    metric.write_text("1 0.5 1\n2 0.2")
    assert triples(all_of(source, ended=False)) == [(1, "metrics/loss", 0.5)]
    metric.write_text("1 0.5 1\n2 0.25 2\n3 0.125\n4 x 4\n")
    assert triples(all_of(source)) == [(2, "metrics/loss", 0.25)]
    assert source.garbage.count == 2


def test_hugging_faces_own_checkpoints_give_each_entry_once() -> None:
    source = trainer_state(f"{REAL}/hugging_face/checkpoint-*", name="trainer_state")
    readings = all_of(source)
    assert [step for step, name, _ in triples(readings) if name == "eval_loss"] == [4, 8, 12, 16]
    assert readings[0].epoch == 0.25


def test_the_history_before_a_resume_is_old_in_later_checkpoints_too(tmp_path: Path) -> None:
    shutil.copytree(REAL / "hugging_face" / "checkpoint-8", tmp_path / "checkpoint-8")
    source = trainer_state(f"{tmp_path}/checkpoint-*/trainer_state.json", name="trainer_state")
    source.begin()
    shutil.copytree(REAL / "hugging_face" / "checkpoint-16", tmp_path / "checkpoint-16")
    assert [step for step, name, _ in triples(all_of(source)) if name == "eval_loss"] == [12, 16]


def test_a_state_torn_at_any_byte_waits_for_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    whole = json.dumps({"log_history": [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]})
    for end in range(len(whole)):
        source = trainer_state(str(path), name="trainer_state")
        path.write_text(whole[:end])
        assert all_of(source, ended=False) == []
        path.write_text(whole)
        assert triples(all_of(source)) == [(1, "loss", 0.5), (2, "loss", 0.25)]
        assert source.garbage.count == 0


def test_a_state_that_stays_torn_or_is_too_large_is_garbage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text('{"log_history": [')
    source = trainer_state(str(path), name="trainer_state")
    assert all_of(source) == []
    assert source.garbage.count == 1
    monkeypatch.setattr(whole_json, "LARGEST", 10)
    large = trainer_state(str(path), name="trainer_state")
    assert all_of(large) == []
    assert "has 17 bytes; a file that is read whole may have 10" in large.garbage.first
