from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.errors import NameTaken
from cardrunner.launching.losses import record_loss
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.memory_kills import MemoryKills
from tests.ledger_lines import record, recorded

MakeRun = Callable[..., RunFolder]


def begun(make_run: MakeRun) -> RunFolder:
    folder = make_run()
    record(Ledger(folder.ledger), "submitted", executor="local", detach=False)
    record(Ledger(folder.ledger), "attempt_started", attempt=1)
    return folder


@pytest.mark.parametrize(
    ("code", "out_of_memory", "state", "reason", "exit_code"),
    [
        (137, False, "interrupted", "the worker was killed by signal 9 (SIGKILL)", 7),
        (137, True, "interrupted", "when the machine ran out of memory", 7),
        (139, True, "interrupted", "the worker was killed by signal 11 (SIGSEGV)", 7),
        (130, False, "interrupted", "ended at once by a signal, without saving", 130),
        (143, False, "interrupted", "ended at once by a signal, without saving", 143),
        (9, False, "failed", "the worker ended with 9 and no word", 7),
        (7, False, "failed", "the worker ended with 7 and no word", 7),
        (1, False, "failed", "the worker ended with 1 and no word", 1),
    ],
)
def test_an_exit_code_tells_how_a_worker_was_lost(
    make_run: MakeRun, code: int, out_of_memory: bool, state: str, reason: str, exit_code: int
) -> None:
    folder = begun(make_run)
    record_loss(folder, code, out_of_memory=out_of_memory)
    event = recorded(Ledger(folder.ledger), "attempt_ended")[-1]
    assert event is not None
    assert (event["state"], event["exit_code"]) == (state, exit_code)
    assert reason in event["reason"]


def test_a_recorded_end_stays(make_run: MakeRun) -> None:
    folder = begun(make_run)
    record(Ledger(folder.ledger), "attempt_ended", attempt=1, state="completed", reason=None, exit_code=0, seconds=1.0)
    record_loss(folder, 137)
    assert len(recorded(Ledger(folder.ledger), "attempt_ended")) == 1


def test_a_worker_that_gave_way_is_no_loss(make_run: MakeRun) -> None:
    folder = begun(make_run)
    with pytest.raises(NameTaken, match="cardrunner attach a-run"):
        record_loss(folder, 6)
    assert recorded(Ledger(folder.ledger), "attempt_ended") == []


def test_the_kernels_counters_tell_whether_memory_ran_out(tmp_path: Path) -> None:
    events, machine = tmp_path / "memory.events", tmp_path / "vmstat"
    events.write_text("low 0\noom 1\noom_kill 3\n")
    machine.write_text("nr_free_pages 10\noom_kill 7\n")
    kills = MemoryKills((events, machine, tmp_path / "absent"))
    assert not kills.happened
    events.write_text("low 0\noom 2\noom_kill 4\n")
    assert kills.happened


def test_the_counters_of_this_machine_can_be_read() -> None:
    assert MemoryKills().happened is False
