"""One writer per run: a lock that the worker holds while it lives, with a heartbeat in it.

The lock (flock) vanishes with its process, however that ends, so a dead run never looks alive. The JSON body is for
people, and for machines that cannot see the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from cardrunner.errors import NameTaken
from cardrunner.runs.clock import utc_now
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import Record

_BODY_BYTES = 512
_PATIENCE_SECONDS = 0.5


class LeaseBody(Record):
    """``lease.json``: who writes, and when they last said so."""

    pid: int
    host: str
    started: str
    heartbeat: str


class Lease:
    """The right to write a run folder, held until `release` or until the process ends.

    Args:
        descriptor: the locked file.
        every: seconds between heartbeats.
    """

    def __init__(self, descriptor: int, *, every: float = 5.0) -> None:
        self._descriptor = descriptor
        self._started = utc_now()
        self._over = threading.Event()
        self._beat()
        self._thread = threading.Thread(target=self._keep_beating, args=(every,), name="lease", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls, folder: RunFolder, *, every: float = 5.0) -> Lease:
        """Become the one writer.

        Raises:
            NameTaken: another process is.
            EnvironmentFailed: the file cannot be written.
        """
        with explained(folder.lease, "write"):
            descriptor = os.open(folder.lease, os.O_RDWR | os.O_CREAT, 0o644)
        if not _lock_patiently(descriptor):
            os.close(descriptor)
            raise NameTaken(
                f"run {folder.name} is live{_holder(folder)}; watch it with `cardrunner attach {folder.name}`"
            )
        return cls(descriptor, every=every)

    def release(self) -> None:
        """Let others write; again is harmless."""
        self._over.set()
        self._thread.join()
        if self._descriptor >= 0:
            self._beat()
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _keep_beating(self, every: float) -> None:
        while not self._over.wait(every):
            with contextlib.suppress(OSError):  # a full disk must not end a run that still computes
                self._beat()

    def _beat(self) -> None:
        body = LeaseBody(pid=os.getpid(), host=socket.gethostname(), started=self._started, heartbeat=utc_now())
        # one write of one size in place: a rename would leave the lock on a file that nobody sees any more
        os.pwrite(self._descriptor, body.model_dump_json().encode().ljust(_BODY_BYTES - 1) + b"\n", 0)


def is_live(folder: RunFolder) -> bool:
    """True while a process of this machine holds the run's lease."""
    with _opened(folder.lease) as descriptor:
        if descriptor is None or _try_lock(descriptor, fcntl.LOCK_SH):
            return False
    body = read_lease(folder)
    return body is None or body.host != socket.gethostname() or _exists(body.pid)


def read_lease(folder: RunFolder) -> LeaseBody | None:
    """What the last writer said; None when there was none."""
    try:
        return LeaseBody.model_validate(json.loads(folder.lease.read_bytes()))
    except (OSError, ValueError, ValidationError):
        return None


def _lock_patiently(descriptor: int) -> bool:
    """Take the lock; `is_live` in another process may hold it for an instant."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _exists(pid: int) -> bool:
    """False for a process that is gone: a child it forked may still hold the lock."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _holder(folder: RunFolder) -> str:
    body = read_lease(folder)
    return f" (process {body.pid} on {body.host}, last heard of at {body.heartbeat})" if body else ""
