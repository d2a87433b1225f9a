"""Two processes that train one model: the run that one process makes, resumable to the bit, and never a hang."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cardrunner.errors import EnvironmentFailed, RestartWanted, RunStopped, UsageError
from cardrunner.runs.process_identity import start_time
from cardrunner.stages.processes import ProcessEnd, checked_processes, outcome, read_endings
from cardrunner.training.group import GroupOutOfMemory
from tests.ledger_lines import record

MakeRun = Callable[..., Any]
TWO = {
    "training.processes": 2,
    "training.checkpoint_every": "2 steps",
    "training.log_every": "2 steps",
    "training.drop_last": False,
    "data.examples": 321,  # 256 to train: 4 steps of 2 x 32
    "model.dropout": 0.2,
}
SLOW = {"training.toy": {"step_ms": 120}}


WORKER = "import sys; from cardrunner.launching.worker import _entry; sys.exit(_entry(sys.argv[1:]))"
Start = Callable[[Any], Any]


@pytest.fixture
def start(zygote: Any) -> Start:
    """Starts a worker on a run, which starts torchrun, which starts the processes."""

    def begin(run: Any) -> Any:
        run.attempts += 1
        return zygote.code(WORKER, run.folder.root, cwd=run.folder.root.parents[1])

    return begin


def ranks(run: Any) -> dict[int, int]:
    """The processes that train a run, by rank."""
    return {line.rank: line.pid for line in read_endings(run.folder.process_endings) if line.pid is not None}


def gone(run: Any) -> bool:
    return all(start_time(pid) is None for pid in ranks(run).values())


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_out_of_memory_in_one_process_splits_the_batches_of_all_and_the_run_is_that_of_one_process(
    toy_run: MakeRun,
) -> None:
    """The same but for rounding, where nothing is random: the same batches, split over two processes."""
    changes = {**TWO, "model.dropout": 0, "data.examples": 323, "training.epochs": 2}  # the last batch has 2 examples
    one = toy_run({**changes, "training.processes": 1, "training.batch_size": 64}, name="one").train()
    two = toy_run({**changes, "training.toy": {"oom_at": 4}}, name="two").train()
    assert two.ended is None
    assert [(row.kind, row.step, row.examples) for row in two.rows] == [
        (row.kind, row.step, row.examples) for row in one.rows
    ]
    for row, expected in zip(two.rows, one.rows, strict=True):
        assert row.metrics == pytest.approx(expected.metrics, rel=1e-3)
    record = two.record
    assert (record.processes, record.batch_size, record.effective_batch) == (2, 32, 64)
    assert [(split.step, split.pieces) for split in record.splits] == [(4, 2)]
    assert record.baselines["majority class"] == pytest.approx(one.record.baselines["majority class"])
    (warning,) = two.events("warning")
    assert "out of memory at step 4: from there on a batch goes through the model in 2 pieces" in warning["message"]


def test_ended_by_sigterm_then_by_the_death_of_a_process_it_goes_on_to_the_same_bits(
    toy_run: MakeRun, start: Start
) -> None:
    whole, run = toy_run(TWO, name="whole"), toy_run({**TWO, **SLOW}, name="slow")
    first = start(whole)
    worker = start(run)
    wait_for(lambda: run.rows)
    worker.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert worker.wait() == 143, worker.err.read_text()
    assert time.monotonic() - began < 10
    assert gone(run)
    stopped_at = max(entry.step for entry in run.manifest.entries)
    assert stopped_at >= 2

    rows = len(run.rows)
    worker = start(run)
    wait_for(lambda: len(run.rows) >= rows + 2)
    os.kill(ranks(run)[1], signal.SIGKILL)
    assert worker.wait() == 7, worker.err.read_text()
    (_, end) = run.events("attempt_ended")
    assert "process 2 of 2 was killed by signal 9 (SIGKILL); `cardrunner resume slow` goes on" in end["reason"]
    assert gone(run)

    worker = start(run)
    assert worker.wait() == 0, worker.err.read_text()
    assert first.wait() == 0, first.err.read_text()
    assert run.events("resumed")[0]["step"] == stopped_at
    assert run.facts() == whole.facts()
    assert run.record.weights_sha256 == whole.record.weights_sha256
    assert (run.record.processes, run.record.effective_batch) == (2, 64)


def test_when_the_worker_is_killed_its_processes_end_at_once(toy_run: MakeRun, start: Start) -> None:
    run = toy_run({**TWO, **SLOW})
    worker = start(run)
    wait_for(lambda: run.rows)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    wait_for(lambda: gone(run))


def test_a_verdict_at_a_log_point_pauses_all_processes_and_once_acknowledged_they_go_on(
    toy_run: MakeRun, start: Start
) -> None:
    rule = {"metric": "loss/total", "above": 0.1, "after": "5 steps", "action": "investigate"}
    run = toy_run({**TWO, "kill_thresholds": [rule]})
    worker = start(run)
    assert worker.wait() == 8, worker.err.read_text()
    assert gone(run)
    assert max(entry.step for entry in run.manifest.entries) == 6
    record(run.context().ledger, "acknowledged", text="the limit is a typing error")
    worker = start(run)
    assert worker.wait() == 0, worker.err.read_text()
    assert [(event["kind"], event["step"]) for event in run.events("verdict")] == [("train", 6)]
    assert run.record.steps == 12


# ------------------------------------------------------------ why a run of several processes ended


def ending(rank: int, kind: str | None = None, message: str = "", **fields: Any) -> ProcessEnd:
    return ProcessEnd(rank=rank, at=fields.pop("at", 0.0), kind=kind, message=message, **fields)


def test_the_leaders_word_counts_when_all_agreed() -> None:
    assert outcome([ending(0)], processes=2, run="x") is None
    found = outcome([ending(1, "Terminated", "b"), ending(0, "RunStopped", "a")], processes=2, run="x")
    assert (type(found), str(found)) == (RunStopped, "a")
    restart = outcome([ending(0, "RestartWanted", "a", facts={"changes": {"x": 1}})], processes=2, run="x")
    assert isinstance(restart, RestartWanted)
    assert restart.changes == {"x": 1}


def test_that_a_process_lost_another_one_explains_nothing() -> None:
    lost = ending(0, "RuntimeError", "gloo: Connection closed by peer", at=0.0, lost=True)
    first = outcome([lost, ending(1, "EnvironmentFailed", "the disk is full", at=1.0)], processes=2, run="x")
    assert (type(first), str(first)) == (EnvironmentFailed, "the disk is full")
    memory = ending(
        1,
        "GroupOutOfMemory",
        "too much",
        at=3.0,
        facts={"epoch": 1, "step": 4, "pieces": 2, "progress": 0.5, "seconds": 1.0},
    )
    assert isinstance(outcome([lost, memory], processes=2, run="x"), GroupOutOfMemory)
    died = outcome([lost, ending(1, died=9), ending(0, died=1)], processes=2, run="x")
    assert "process 2 of 2 ended with 9 and no word; `cardrunner resume x` goes on" in str(died)
    bug = outcome([ending(1, "ValueError", "odd", at=1.0), ending(0, died=-9)], processes=2, run="x")
    assert (type(bug), str(bug)) == (RuntimeError, "process 2 of 2: ValueError: odd")
    hung = outcome([ending(0, "RuntimeError", "gloo: Timed out", lost=True), ending(1, died=-9)], processes=2, run="x")
    assert "process 2 of 2 did not answer for 10 min" in str(hung)


# ------------------------------------------------------------ what a machine must have


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"infra.gpus": 8, "infra.gpu": "T4", "training.device": "auto"}, EnvironmentFailed, "gpus: 8, but torch sees"),
        ({"infra.gpus": 2, "infra.gpu": "T4"}, EnvironmentFailed, "training.device is cpu"),
        ({"infra.gpus": 2, "training.processes": 2}, UsageError, "one process per GPU"),
    ],
)
def test_processes_that_are_not_possible_here_are_named(
    toy_card: Callable[..., Any], changes: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        checked_processes(toy_card(changes).card)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_on_a_cpu_the_card_says_how_many_processes(toy_card: Callable[..., Any]) -> None:
    assert checked_processes(toy_card({"training.processes": 3, "training.device": "auto"}).card) == 3
    assert checked_processes(toy_card().card) == 1
