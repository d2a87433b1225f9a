"""A disk that takes nothing more: a sentence, the documented exit code, and a state that is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import Lease
from cardrunner.runs.status import derive_status

MakeCard = Callable[..., Path]
FAILS = {"training.toy.raise_at": 3}
NO_ROOM_FOR_THE_END = """
import errno, os
from cardrunner.runs import jsonl
write = jsonl._write_whole
def full(descriptor, data):
    if b'"attempt_ended"' in data:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    write(descriptor, data)
jsonl._write_whole = full
from cardrunner.main import entry; entry()
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_lease_that_a_full_disk_does_not_take_is_said(toy_run: Callable[..., Any]) -> None:
    folder = toy_run().folder
    folder.lease.symlink_to("/dev/full")
    with pytest.raises(EnvironmentFailed, match=r"cannot write .*lease\.json: the disk is full; free some space"):
        Lease.acquire(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_worker_without_room_for_its_lease_ends_with_7_and_its_run_is_not_starting(
    make_card: MakeCard, zygote: Any, tmp_path: Path
) -> None:
    assert zygote.command("launch", make_card(FAILS | {"infra.executor": "local"}), cwd=tmp_path).wait() == 1
    folder = RunFolder(tmp_path / "runs" / "toy-run")
    folder.lease.unlink()
    folder.lease.symlink_to("/dev/full")

    code, _, err = zygote.command("resume", "toy-run", cwd=tmp_path).finish()

    assert code == 7, err
    assert "bug" not in err
    assert derive_status(folder).state == "failed"


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_a_worker_that_cannot_write_its_end_is_told_as_what_it_was(
    make_card: MakeCard, zygote: Any, tmp_path: Path, executor: str
) -> None:
    path = make_card(FAILS | {"infra.executor": executor})
    code, _, err = zygote.code(NO_ROOM_FOR_THE_END, "launch", path, cwd=tmp_path).finish()
    status = derive_status(RunFolder(tmp_path / "runs" / "toy-run"))
    assert code == 1, err
    assert status.state == "failed"
    assert "a bug in cardrunner or the workload: ValueError: training.toy.raise_at" in str(status.reason)
    assert status.next == "cardrunner resume toy-run"


def test_a_resume_that_may_not_write_says_so(make_card: MakeCard, zygote: Any, tmp_path: Path) -> None:
    assert zygote.command("launch", make_card(FAILS), cwd=tmp_path).wait() == 1
    RunFolder(tmp_path / "runs" / "toy-run").stop_request.mkdir()  # it cannot be removed as a file
    code, _, err = zygote.command("resume", "toy-run", cwd=tmp_path).finish()
    assert code == 7, err
    assert "cannot write in" in err
    assert "bug" not in err
