"""The five usual set-ups of `examples/` under signed cards: stopped by a threshold, resumed, and reported."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.random_stops import LOST, SetUp, Stop, Trial
from benchmarks.set_ups import SET_UPS
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import TrainRecord, read_record

NEEDED = {
    "hugging-face": ("transformers", "accelerate", "tensorboard"),
    "lightning": ("lightning", "jsonargparse"),
    "xgboost": ("xgboost",),
}
"""What a set-up imports beside what the tests have anyway."""
by_name = pytest.mark.parametrize("set_up", SET_UPS, ids=lambda set_up: set_up.name)


def stopped(set_up: SetUp, folder: Path) -> Trial:
    """The set-up launched through the gate, stopped by a threshold on a row, and resumed to its end."""
    if any(importlib.util.find_spec(module) is None for module in NEEDED.get(set_up.name, ())):
        pytest.skip("what the set-ups need is not installed")
    trial = Trial(folder, Stop(0, set_up, "verdict", at_row=True, share=0.4, within=0.5))
    assert trial.run().faults == []
    return trial


@pytest.fixture(scope="module", params=SET_UPS, ids=lambda set_up: set_up.name)
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return stopped(request.param, tmp_path_factory.mktemp(request.param.name))


def events(folder: RunFolder, name: str) -> Iterator[dict[str, object]]:
    lines = (json.loads(line) for line in folder.ledger.read_text().splitlines())
    return (line for line in lines if line["event"] == name)


@by_name
def test_its_card_has_no_fault_and_the_gate_is_closed_until_it_is_signed(set_up: SetUp, tmp_path: Path) -> None:
    trial = Trial(tmp_path, Stop(0, set_up, "person", at_row=False, share=0.5, within=0.5))
    card = str(set_up.make(tmp_path))
    assert "0 faults" in trial.cardrunner("validate", card)
    trial.cardrunner("code", card, "--write")
    assert "reviewer" in trial.cardrunner("launch", card, code=3)
    assert not (tmp_path / "runs").exists()


@pytest.mark.set_ups
@pytest.mark.timeout(900)
def test_a_threshold_stops_it_and_a_resume_goes_on_or_begins_anew_as_the_plan_said(trial: Trial) -> None:
    assert trial.state == "stopped"
    step = next(events(trial.folder, "verdict"))["step"]
    assert isinstance(step, int)
    if trial.set_up.outcome == "lost":
        assert any(LOST in str(warned["message"]) for warned in events(trial.folder, "warning"))
    else:
        assert trial.saved is not None
        assert trial.saved >= step  # the stop has waited for the checkpoint of that row


@pytest.mark.set_ups
@pytest.mark.timeout(900)
def test_its_results_card_says_who_reported_the_numbers(trial: Trial) -> None:
    page = trial.folder.results.read_text()
    assert "Completed" in page
    assert "Metrics, reported by the script" in page
    assert "a random stop" in page
    assert trial.set_up.metric in page


@pytest.mark.set_ups
@pytest.mark.timeout(900)
def test_a_stop_of_torchrun_counts_as_one_whatever_its_exit_code_and_its_rows_are_those_of_one_process(
    tmp_path: Path,
) -> None:
    (set_up,) = (set_up for set_up in SET_UPS if set_up.name == "torchrun")
    trial = Trial(tmp_path, Stop(0, set_up, "person", at_row=True, share=0.4, within=0.5))
    card = trial.signed()
    trial.cardrunner("launch", card, "--detach")
    trial.end_it()
    assert trial.state == "stopped"
    assert "the script ended with 1" in " ".join(read_record(trial.folder.record("train"), TrainRecord).notes)
    assert trial.left(3) == []  # workers have sessions of their own
    printed = trial.folder.script_log.read_text()
    assert "[GPU1] Epoch 1 " in printed
    rows = [json.loads(line) for line in trial.folder.history.read_text().splitlines()]
    logged = [row for row in rows if row["kind"] == "train"]
    assert [row["step"] for row in logged] == list(range(len(logged)))
    assert all(
        f"[GPU0] Epoch {row['step']} | Batchsize: 64 | Loss: {row['metrics']['loss']:.5f}" in printed for row in logged
    )
