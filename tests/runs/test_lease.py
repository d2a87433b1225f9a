from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cardrunner.errors import EnvironmentFailed, NameTaken
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.jsonl import append_line
from cardrunner.runs.lease import STALE_SECONDS, Lease, is_live, read_lease

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


def foreign(folder: RunFolder, heartbeat: str, *, written: float = 0.0) -> None:
    """What a holder on another machine wrote so many seconds ago, as the file system tells it."""
    body = {"pid": 1, "host": "other-host", "started": heartbeat, "heartbeat": heartbeat}
    folder.lease.write_text(json.dumps(body))
    os.utime(folder.lease, (time.time() - written,) * 2)


@pytest.mark.parametrize("year", ["1999", "2026", "2086"])
def test_a_holder_on_another_machine_is_alive_for_a_minute_after_its_last_heartbeat_whatever_time_that_names(
    folder: RunFolder, year: str
) -> None:
    foreign(folder, f"{year}-03-01T12:00:00.000Z", written=STALE_SECONDS - 10)
    assert is_live(folder)
    foreign(folder, f"{year}-03-01T12:00:00.000Z", written=STALE_SECONDS + 1)
    assert not is_live(folder)


def test_a_heartbeat_that_was_seen_to_change_counts_even_where_the_file_system_has_another_clock(
    folder: RunFolder,
) -> None:
    foreign(folder, "2026-03-01T12:00:00.000Z", written=3600)
    assert not is_live(folder)
    foreign(folder, "2026-03-01T12:00:05.000Z", written=3595)
    assert is_live(folder)


def test_a_heartbeat_that_stays_the_same_is_dead_after_a_minute_even_where_the_file_is_of_the_future(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign(folder, "2086-03-01T12:00:00.000Z", written=-1e9)
    assert is_live(folder)
    later = time.monotonic() + STALE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not is_live(folder)


def test_what_holds_a_lease_writes_nothing_once_its_run_is_taken_away(folder: RunFolder) -> None:
    with Lease.acquire(folder):
        moved = folder.root.rename(folder.root.with_name("moved"))
        with pytest.raises(EnvironmentFailed, match="a-run was removed or moved while the run was at work"):
            write_text(folder.results, "here")
        folder.root.mkdir()
        with pytest.raises(EnvironmentFailed, match="removed or moved"):
            append_line(folder.ledger, {"event": "created"}, durable=False)
        assert list(folder.root.iterdir()) == []
        folder.root.rmdir()
        moved.rename(folder.root)
        write_text(folder.results, "here")
