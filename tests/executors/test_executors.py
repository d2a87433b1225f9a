from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.card.platforms import PLATFORMS, executor_names, executors_of, platform
from cardrunner.card.schema.infra import InfraBase
from cardrunner.contracts import Executor, RemoteExecutor
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.executors.local import LocalExecutor, LocalJob
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import is_live
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.process_identity import start_time
from cardrunner.runs.status import derive_status
from tests.conftest import Zygote
from tests.executors.contract import CHECK_EXECUTOR, until

HERE = ("inline", "local")
"""Executors of this machine; the others have tests of their own."""


@pytest.mark.parametrize("name", executor_names())
def test_every_executor_satisfies_the_contract(name: str) -> None:
    if name not in HERE:
        pytest.importorskip(name)
    executor = registry.executor(name)
    assert isinstance(executor, Executor if name in HERE else RemoteExecutor)
    assert executor.name == name


@pytest.mark.parametrize("name", HERE)
def test_every_executor_of_this_machine_runs_stops_and_resumes_a_run(name: str, zygote: Zygote, tmp_path: Path) -> None:
    code, out, err = zygote.code(CHECK_EXECUTOR, name, tmp_path, "{}", cwd=tmp_path).finish()
    assert (code, out) == (0, "kept\n"), err


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_platform_has_a_spec_and_offers_the_executor_that_its_cards_choose(name: str) -> None:
    spec = platform(name)
    assert (spec.name, platform(name)) == (name, spec)
    assert issubclass(spec.infra, InfraBase)
    infra = spec.infra.model_construct(
        **{key: field.get_default(call_default_factory=True) for key, field in spec.infra.model_fields.items()}
    )
    assert spec.executor_of(infra) in executors_of(name)
    assert (spec.storage(infra) is None) == (not isinstance(registry.executor(spec.executor_of(infra)), RemoteExecutor))


def test_a_completed_run_is_not_run_again(toy_run: Callable[..., object]) -> None:
    folder: RunFolder = toy_run({"training.epochs": 1}).folder  # type: ignore[attr-defined]
    assert [registry.executor("inline").submit(folder).wait() for _ in range(2)] == [0, 0]
    assert Ledger(folder.ledger).attempts() == 1


def test_a_local_run_is_found_again_from_another_shell(toy_run: Callable[..., object]) -> None:
    folder: RunFolder = toy_run({"training.toy.step_ms": 50}).folder  # type: ignore[attr-defined]
    job = LocalExecutor().submit(folder)
    again = LocalExecutor().attach(folder, job.id)
    assert isinstance(again, LocalJob)
    assert again.running()
    until(lambda: is_live(folder))
    assert os.getpgid(again.pid) == again.pid  # Ctrl-C in this shell's group does not reach it
    again.stop(signal.SIGTERM)
    assert job.wait() == 143
    assert not again.running()
    assert again.wait() == 0
    assert derive_status(folder).state == "interrupted"
    assert folder.results.exists()


def test_a_killed_worker_leaves_a_run_that_is_not_running_and_says_why(toy_run: Callable[..., object]) -> None:
    folder: RunFolder = toy_run({"training.toy.hang_at": 3}).folder  # type: ignore[attr-defined]
    job = LocalExecutor().submit(folder)
    until(lambda: derive_status(folder).stage == "train")
    job.stop(signal.SIGKILL)
    assert job.wait() == 7
    status = derive_status(folder)
    assert (status.state, status.reason) == ("interrupted", "the worker was killed by signal 9 (SIGKILL)")
    assert folder.results.exists()


def test_a_worker_outlives_its_supervisor_and_is_still_watched(toy_run: Callable[..., object]) -> None:
    folder: RunFolder = toy_run({"training.toy.step_ms": 30}).folder  # type: ignore[attr-defined]
    job = LocalExecutor().submit(folder)
    until(lambda: is_live(folder))
    os.kill(int(job.id.split(":")[1]), signal.SIGKILL)
    assert job.running()
    assert job.wait() == 137
    assert derive_status(folder).state == "completed"
    assert derive_status(folder).next == f"cardrunner finish {folder.name}"


def test_a_reused_process_number_is_not_our_worker(toy_run: Callable[..., Any]) -> None:
    folder = toy_run().folder
    began = start_time(os.getpid())
    assert LocalJob(folder, os.getpid(), str(began)).running()
    assert not LocalJob(folder, os.getpid(), "1").running()
    LocalJob(folder, os.getpid(), "1").stop(signal.SIGKILL)


def test_a_process_that_ended_is_not_running_before_its_parent_looked() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: start_time(process.pid) is None)
    process.wait()


@pytest.mark.parametrize("text", ["", "local:", "local:x:1", "modal:1:2", "local:12"])
def test_something_else_is_not_a_job(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the id of a local job"):
        LocalExecutor().attach(RunFolder(tmp_path), text)


def test_a_log_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        LocalExecutor().submit(RunFolder(tmp_path / "absent"))
