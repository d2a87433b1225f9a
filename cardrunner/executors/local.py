"""local: the worker runs in a process of its own, under a supervisor that outlives the shell that started it.

The supervisor (`cardrunner.launching.supervisor`) starts the worker, waits for it, and does what is left for this
side. This module is all that knows how these processes are started and found again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cardrunner.contracts import Job
from cardrunner.errors import UsageError
from cardrunner.executors import SUPERVISOR, WORKER
from cardrunner.runs.environment import child_environment, python_command
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import is_live, is_supervised, read_lease
from cardrunner.runs.process_identity import start_time

_POLL_SECONDS = 0.1
_HOLD_SECONDS = 30.0


@dataclass(frozen=True)
class LocalJob:
    """A supervisor, known by its number and by when it began, since numbers are used again, and its worker.

    Args:
        folder: the run.
        pid: the supervisor.
        began: its start time as the system writes it.
        process: the handle of the process that started it; None when it was attached to.
        executor: the one that submitted it.
    """

    folder: RunFolder
    pid: int
    began: str
    process: subprocess.Popen[bytes] | None = None
    executor: str = "local"

    @property
    def id(self) -> str:
        """``local:PID:START``; another executor's begins with its own name."""
        return f"{self.executor}:{self.pid}:{self.began}"

    def sync(self) -> None:
        """Nothing to do: the worker writes this very folder."""

    def wait(self) -> int:
        """The run's exit code, 128 + n where signal n ended the supervisor; 0 for one that another shell started.

        The ledger has the exit code in any case.
        """
        code = self.process.wait() if self.process is not None else 0
        while self.running():
            time.sleep(_POLL_SECONDS)
        return code if code >= 0 else 128 - code

    def running(self) -> bool:
        """True until the supervisor ended, and the worker too, should it have lost its supervisor."""
        return self._supervised() or is_live(self.folder)

    def stop(self, signal_number: int = 15) -> None:
        """Signal the run; harmless when it is gone. SIGKILL goes to the worker, so that its end is written down."""
        worker = _worker_of(self.folder)
        target = self.pid if self._supervised() and (worker is None or signal_number != signal.SIGKILL) else worker
        if target is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal_number)

    def _supervised(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return start_time(self.pid) == self.began


@dataclass(frozen=True)
class LocalExecutor:
    """Runs supervisor and worker in a session of their own; what they print goes to ``worker.log``.

    An executor that only starts the worker another way extends it with a `name` and a `start_worker` of its own.
    """

    name: ClassVar[str] = "local"
    survives_client: ClassVar[bool] = True
    finishes_unattended: ClassVar[bool] = True
    start_seconds: ClassVar[float] = 60.0

    def submit(self, folder: RunFolder) -> Job:
        """Start the supervisor; from then on the run is its own.

        Raises:
            EnvironmentFailed: the log cannot be written, or no process can be started.
        """
        process = start_process(folder, python_command(SUPERVISOR, str(folder.root), self.name), session=True)
        until = time.monotonic() + _HOLD_SECONDS
        while not is_supervised(folder) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        return LocalJob(folder, process.pid, start_time(process.pid) or "ended", process, executor=self.name)

    def attach(self, folder: RunFolder, job_id: str) -> Job:
        """The job of an id, from any shell of this machine.

        Raises:
            UsageError: it is not the id of a job of this executor.
        """
        kind, _, rest = job_id.partition(":")
        pid, _, began = rest.partition(":")
        if kind != self.name or not pid.isdigit() or not began:
            raise UsageError(f"{job_id} is not the id of a {self.name} job; `cardrunner status` shows what runs")
        return LocalJob(folder, int(pid), began, executor=self.name)

    def start_worker(self, folder: RunFolder) -> subprocess.Popen[bytes]:
        """Start ``python -m cardrunner.launching.worker`` on a run, for its supervisor.

        Raises:
            EnvironmentFailed: the log cannot be written, or no process can be started.
        """
        return start_process(folder, worker_command(folder))


def worker_command(folder: RunFolder) -> list[str]:
    """The command that runs the worker of a run."""
    return python_command(WORKER, str(folder.root))


def start_process(folder: RunFolder, command: Sequence[str], *, session: bool = False) -> subprocess.Popen[bytes]:
    """Start a process of a run, which prints into the run's log.

    Args:
        folder: the run.
        command: program and arguments.
        session: make it the leader of a session of its own, which no Ctrl-C of this shell reaches.

    Raises:
        EnvironmentFailed: the log cannot be written, or no process can be started.
    """
    with explained(folder.log, "write"), folder.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=session,
            env=child_environment(),
        )


def _worker_of(folder: RunFolder) -> int | None:
    body = read_lease(folder)
    return body.pid if body is not None and is_live(folder) else None
