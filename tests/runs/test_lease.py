from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cardrunner.errors import NameTaken
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import Lease, is_live, read_lease

_HOLDER = (
    "import sys, time; from pathlib import Path; from cardrunner.runs.folder import RunFolder\n"
    "from cardrunner.runs.lease import Lease\n"
    "lease = Lease.acquire(RunFolder(Path(sys.argv[1])), every=0.05)\n"
    "print('held', flush=True); time.sleep(60)"
)


@contextmanager
def other_holder(folder: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease."""
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, str(folder.root)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(make_run: Callable[..., RunFolder]) -> RunFolder:
    return make_run()


def test_a_lease_is_held_by_one(folder: RunFolder) -> None:
    assert not is_live(folder)
    with Lease.acquire(folder):
        assert is_live(folder)
        with pytest.raises(NameTaken, match="cardrunner attach a-run"):
            Lease.acquire(folder)
    assert not is_live(folder)
    Lease.acquire(folder).release()


def test_the_body_names_the_holder_and_its_heart_beats(folder: RunFolder) -> None:
    with Lease.acquire(folder, every=0.02):
        first = read_lease(folder)
        assert first is not None
        assert first.pid == os.getpid()
        until = time.monotonic() + 5
        while (seen := read_lease(folder)) == first and time.monotonic() < until:
            time.sleep(0.01)
        assert seen is not None
        assert seen.heartbeat > first.heartbeat
        assert seen.started == first.started


def test_asking_often_never_takes_the_lease_away(folder: RunFolder) -> None:
    for _ in range(30):
        assert not is_live(folder)
        Lease.acquire(folder).release()


def test_a_killed_holder_is_dead_at_once(folder: RunFolder) -> None:
    with other_holder(folder) as process:
        assert is_live(folder)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_live(folder)
        assert read_lease(folder) is not None


def test_a_frozen_holder_still_holds(folder: RunFolder) -> None:
    with other_holder(folder) as process:
        process.send_signal(signal.SIGSTOP)
        assert is_live(folder)
        with pytest.raises(NameTaken, match=f"process {process.pid}"):
            Lease.acquire(folder)


def test_an_orphan_of_a_dead_holder_is_not_the_run(folder: RunFolder) -> None:
    forker = (
        "import os, sys, time; from pathlib import Path; from cardrunner.runs.folder import RunFolder\n"
        "from cardrunner.runs.lease import Lease\n"
        "lease = Lease.acquire(RunFolder(Path(sys.argv[1])), every=60)\n"
        "child = os.fork()\n"
        "if child == 0: time.sleep(60)\n"
        "print(child, flush=True); os._exit(0)"
    )
    process = subprocess.Popen([sys.executable, "-c", forker, str(folder.root)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
    try:
        assert not is_live(folder)
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_nothing_holds_a_run_that_never_began(folder: RunFolder) -> None:
    assert read_lease(folder) is None
    assert not is_live(folder)
