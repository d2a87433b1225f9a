"""What every executor of this machine does with a run, whatever it is called."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.contracts import Executor
from cardrunner.errors import UsageError
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import Manifest, read_record
from cardrunner.runs.status import derive_status

MakeToyRun = Callable[..., Any]
CHECK_EXECUTOR = """if True:
    import json, sys
    from pathlib import Path
    from tests.conftest import make_toy_run
    from tests.executors.contract import check_executor

    name, folder, own = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    check_executor(name, lambda changes, *, name: make_toy_run(folder, own | changes, name=name))
    print("kept")
"""
"""A program that holds an executor against its contract, for a process that has workers forked.

Words: the executor, a folder for its runs, and the changes of its cards as JSON.
"""


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def check_executor(name: str, make_run: MakeToyRun) -> None:
    """Hold an executor against `cardrunner.contracts.Executor` by what it does.

    Args:
        name: as a card or ``--executor`` names it.
        make_run: makes the folder of a launched toy run, given changes of its card.
    """
    executor = registry.executor(name)
    assert isinstance(executor, Executor)
    assert executor.name == name
    check_a_run_to_its_end(executor, make_run({"training.epochs": 1}, name="to-the-end").folder)
    check_a_stop_and_a_resume(executor, make_run({"training.toy.step_ms": 50}, name="stopped").folder)


def check_a_run_to_its_end(executor: Executor, folder: RunFolder) -> None:
    job = executor.submit(folder)
    assert job.wait() == 0
    assert not job.running()
    status = derive_status(folder)
    assert (status.state, status.step, status.attempts) == ("completed", 8, 1)
    with pytest.raises(UsageError, match="is not the id of"):
        executor.attach(folder, "another:1:2")


def check_a_stop_and_a_resume(executor: Executor, folder: RunFolder) -> None:
    """Another shell stops it by the id of its job; what it saved is where the next attempt goes on."""
    job = executor.submit(folder)
    other = threading.Thread(target=lambda: stop_in_training(executor, folder, job.id))
    other.start()
    assert job.wait() == 128 + signal.SIGTERM
    other.join()
    until(lambda: not job.running())
    status = derive_status(folder)
    assert status.state == "interrupted"
    saved = read_record(folder.manifest, Manifest).entries[-1].step
    assert 0 < saved < 24
    assert executor.submit(folder).wait() == 0
    status = derive_status(folder)
    assert (status.state, status.step, status.attempts) == ("completed", 24, 2)


def stop_in_training(executor: Executor, folder: RunFolder, job_id: str) -> None:
    until(lambda: (derive_status(folder).step or 0) >= 3)
    job = executor.attach(folder, job_id)
    assert (job.id, job.running()) == (job_id, True)
    job.stop(signal.SIGTERM)
