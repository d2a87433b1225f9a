"""local: the worker runs in its own process, under a supervisor that outlives the shell that started it.

The supervisor (`cardrunner.launching.supervisor`) starts the worker, waits for it, and finishes the
run. Only this module knows how these processes are started and found again.
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
    """A supervisor and its worker. The supervisor is identified by pid and start time, because pids are reused.

    Args:
        folder: the run.
        pid: the supervisor.
        began: its start time in the format of the system.
        process: its handle in the process that started it; None after `attach`.
        executor: the name of the executor that submitted it.
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
        """Wait for the end.

        Returns:
            the run's exit code, or 128 + n if signal n ended the supervisor; 0 for a run that another shell started,
            whose exit code is in the ledger.
        """
        code = self.process.wait() if self.process is not None else 0
        while self.running():
            time.sleep(_POLL_SECONDS)
        return code if code >= 0 else 128 - code

    def running(self) -> bool:
        """True until the supervisor and the worker have ended."""
        return self._supervised() or is_live(self.folder)

    def stop(self, signal_number: int = 15) -> None:
        """Send a signal to the run, if it is there. SIGKILL goes to the worker; the supervisor then records its end."""
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
    """Runs supervisor and worker in their own session; their output goes to ``worker.log``.

    An executor that only starts the worker in another way is a subclass with its own `name` and `start_worker`.
    """

    name: ClassVar[str] = "local"
    survives_client: ClassVar[bool] = True
    finishes_unattended: ClassVar[bool] = True
    start_seconds: ClassVar[float] = 60.0

    def submit(self, folder: RunFolder) -> Job:
        """Start the supervisor, which then owns the run.

        Raises:
            EnvironmentFailed: the log cannot be written, or no process can be started.
        """
        process = start_process(folder, python_command(SUPERVISOR, self.name, *folder.arguments), session=True)
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
    return python_command(WORKER, *folder.arguments)


def start_process(folder: RunFolder, command: Sequence[str], *, session: bool = False) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to the run's log.

    Args:
        folder: the run.
        command: program and arguments.
        session: start it in a new session, so that Ctrl-C in this shell does not reach it.

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
