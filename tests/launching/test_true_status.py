"""What `status` says of a run is so within two seconds, and a run that was taken away stays away."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.runs.folder import RunFolder
from cardrunner.runs.status import derive_status

MakeCard = Callable[..., Path]
KILLED = (
    "import os, signal; from cardrunner.executors.{kind} import {name}Executor as Killed\n"
    "Killed.submit = lambda self, folder: os.kill(os.getpid(), signal.SIGKILL)\n"
    "from cardrunner.main import entry; entry()"
)


@pytest.mark.parametrize(("kind", "name"), [("local", "Local"), ("inline", "Inline")])
def test_a_launch_that_died_before_anything_ran_reads_as_failed_and_can_be_resumed(
    make_card: MakeCard, zygote: Any, tmp_path: Path, kind: str, name: str
) -> None:
    path = make_card({"infra.executor": kind})
    assert zygote.code(KILLED.format(kind=kind, name=name), "launch", path, cwd=tmp_path).wait() == -signal.SIGKILL
    died, folder = time.monotonic(), RunFolder(tmp_path / "runs" / "toy-run")

    while (status := derive_status(folder)).live and time.monotonic() - died < 10:
        time.sleep(0.05)

    assert time.monotonic() - died < 2
    assert (status.state, status.next) == ("failed", "cardrunner resume toy-run")
    assert zygote.command("resume", "toy-run", cwd=tmp_path).wait() == 0


@pytest.mark.parametrize("executor", ["local", "inline"])
@pytest.mark.parametrize("take", ["remove", "move"])
def test_a_run_folder_taken_away_from_a_live_worker_ends_it_and_stays_away(
    make_card: MakeCard, zygote: Any, tmp_path: Path, executor: str, take: str
) -> None:
    slow = {"infra.executor": executor, "training.toy.step_ms": 40, "training.epochs": 100}
    launch = zygote.command("launch", make_card(slow), cwd=tmp_path)
    folder, moved = RunFolder(tmp_path / "runs" / "toy-run"), tmp_path / "moved"
    limit = time.monotonic() + 60
    while not folder.best.exists():
        assert time.monotonic() < limit
        time.sleep(0.05)

    if take == "remove":
        shutil.rmtree(folder.root, ignore_errors=True)  # what the worker makes meanwhile is the worker's to remove
    else:
        folder.root.rename(moved)

    code, _, err = launch.finish()
    assert code == 7, err
    assert f"{folder.root} was removed or moved while the run was at work, so that it ends" in err
    assert not folder.root.exists()
    if take == "move" and executor == "local":
        assert "was removed or moved" in (moved / "worker.log").read_text()
