"""One writer per run, and one supervisor: locks held while they live, with a lease beat in them.

The lock (flock) vanishes with its process, however that ends, so a dead run never looks alive. The JSON body is for
people, and for machines that cannot see the lock: there a holder counts as alive while its lease beat changes. The time
in the lease beat comes from another clock and decides nothing.
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
from typing import Any, Self

from pydantic import ValidationError

from cardrunner.common.clock import utc_now
from cardrunner.common.redaction import hide
from cardrunner.errors import NameTaken
from cardrunner.runs.files import explained, open_regular
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.kept_folder import Kept, keep_in_place, let_go
from cardrunner.runs.records import Record, RemoteRun, State, read_record

STALE_SECONDS = 60.0
"""How long a holder on another machine counts as alive after its lease beat was last seen to change."""
_BODY_BYTES = 512
_REASON_BYTES = 230
_PATIENCE_SECONDS = 0.5


class LeaseBody(Record):
    """``lease.json``: the holder, and the time of its last lease beat (`heartbeat`)."""

    pid: int
    host: str
    started: str
    heartbeat: str
    released: bool = False
    """The holder released it itself."""
    state: State | None = None
    """How the attempt ended, if the ledger could not take that; this file keeps its size and needs no room."""
    exit_code: int | None = None
    reason: str | None = None


class Lease:
    """The right to write a run folder, held until `release` or until the process ends.

    Args:
        descriptor: the locked file.
        every: seconds between lease beats.
        kept: the run folder, which this process writes to as long as it stays where it is.
    """

    def __init__(self, descriptor: int, *, kept: Kept, every: float = 5.0) -> None:
        self._descriptor, self._kept = descriptor, kept
        self._started, self._released = utc_now(), False
        self._word: dict[str, Any] = {}
        self._over = threading.Event()
        self._beat()
        self._thread = threading.Thread(target=self._keep_beating, args=(every,), name="lease", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls, folder: RunFolder, *, every: float = 5.0) -> Lease:
        """Become the run's writer.

        Raises:
            NameTaken: another process holds it.
            EnvironmentFailed: the file cannot be written.
        """
        return cls._acquired(folder, folder.lease, "is live", every=every)

    @classmethod
    def supervise(cls, folder: RunFolder, *, every: float = 5.0) -> Lease:
        """Become the supervisor: start the run's workers and finish the run after them.

        Raises:
            NameTaken: another process holds it.
            EnvironmentFailed: the file cannot be written.
        """
        return cls._acquired(folder, folder.supervisor, "is supervised", every=every)

    @classmethod
    def _acquired(cls, folder: RunFolder, path: Path, what: str, *, every: float) -> Lease:
        with explained(path, "write"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, descriptor)
            with explained(path, "lock"):
                free = _lock_patiently(descriptor)
            if not free:
                watch = f"watch it with `cardrunner attach {folder.name}`"
                raise NameTaken(f"run {folder.name} {what}{_holder(path)}; {watch}")
            kept = keep_in_place(folder.root, folder.frozen)
            undo.callback(let_go, kept)
            with explained(path, "write"):
                lease = cls(descriptor, kept=kept, every=every)
            undo.pop_all()
        return lease

    def leave_word(self, state: State, reason: str | None, exit_code: int) -> None:
        """Keep how the attempt ended, which could not be written anywhere else; a long reason is cut."""
        told = hide(reason or "")[:_REASON_BYTES]
        while len(json.dumps(told)) > _REASON_BYTES:
            told = told[:-1]
        self._word = {"state": state, "reason": told, "exit_code": exit_code}
        with contextlib.suppress(OSError):
            self._beat()

    def release(self) -> None:
        """Give the lease back; safe to call again."""
        self._over.set()
        self._thread.join()
        if self._descriptor >= 0:
            self._released = True
            with contextlib.suppress(OSError):
                self._beat()
            os.close(self._descriptor)
            self._descriptor = -1
            let_go(self._kept)

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
        body = LeaseBody(
            pid=os.getpid(),
            host=socket.gethostname(),
            started=self._started,
            heartbeat=utc_now(),
            released=self._released,
            **self._word,
        )
        text = json.dumps(body.model_dump(exclude_none=True), separators=(",", ":"))  # ASCII, so that it has its size
        # one write of fixed size in place: a rename would leave the lock on a file without a name
        os.pwrite(self._descriptor, text.encode().ljust(_BODY_BYTES - 1) + b"\n", 0)


def is_live(folder: RunFolder) -> bool:
    """True while a worker holds the run's lease; for a remote run, its last known state."""
    if folder.remote_run.exists():
        return read_record(folder.remote_run, RemoteRun).live
    return _is_held(folder.lease)


def is_supervised(folder: RunFolder) -> bool:
    """True while a supervisor holds the run's supervisor lock."""
    return _is_held(folder.supervisor)


def read_lease(folder: RunFolder) -> LeaseBody | None:
    """The last writer's lease body; None without one."""
    return _body(folder.lease)


def read_supervision(folder: RunFolder) -> LeaseBody | None:
    """The last supervisor's lease body; None without one."""
    return _body(folder.supervisor)


def _is_held(path: Path) -> bool:
    with _opened(path) as descriptor:
        if descriptor is None:
            return False
        free, body, written = _try_lock(descriptor, fcntl.LOCK_SH), _body(path), os.fstat(descriptor).st_mtime
    if body is None or body.host == socket.gethostname():
        return not free and (body is None or _exists(body.pid))
    return not free or (not body.released and _unchanged_seconds(path, body, written) < STALE_SECONDS)


_SEEN: dict[Path, tuple[str, float, bool]] = {}
"""The lease beat of each lease of another machine, when this process saw it first (monotonic), and whether it saw the
one before it."""


def _unchanged_seconds(path: Path, body: LeaseBody, written: float) -> float:
    """Seconds since the lease beat of a holder on another machine last changed; its lock may be invisible here.

    Args:
        path: its lease.
        body: what stands in it.
        written: when the file was last written, as its file system says; that too may be the clock of another machine.
    """
    now = time.monotonic()
    heartbeat, since, changed = _SEEN.get(path, (None, now, False))
    if heartbeat != body.heartbeat:
        since, changed = now, heartbeat is not None
        _SEEN[path] = body.heartbeat, since, changed
    return now - since if changed else max(now - since, time.time() - written)


def _body(path: Path) -> LeaseBody | None:
    try:
        with open_regular(path) as stream:
            return LeaseBody.model_validate(json.loads(stream.read(_BODY_BYTES)))
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
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for a writer
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


def _holder(path: Path) -> str:
    body = _body(path)
    return f" (process {body.pid} on {body.host}, last heard of at {body.heartbeat})" if body else ""
