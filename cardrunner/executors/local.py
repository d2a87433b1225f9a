"""local: the worker runs in a process of its own, which outlives the shell that started it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cardrunner.contracts import Job
from cardrunner.errors import UsageError
from cardrunner.executors import WORKER
from cardrunner.runs.environment import child_environment
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class LocalJob:
    """A worker process, known by its number and by when it began, since numbers are used again.

    Args:
        pid: the process.
        began: its start time as the system writes it.
        process: the handle of the process that started it; None when it was attached to.
    """

    pid: int
    began: str
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def attach(cls, job_id: str) -> LocalJob:
        """The job of an id, from any shell of this machine.

        Raises:
            UsageError: it is not an id of a local job.
        """
        kind, _, rest = job_id.partition(":")
        pid, _, began = rest.partition(":")
        if kind != "local" or not pid.isdigit() or not began:
            raise UsageError(f"{job_id} is not the id of a local job; `cardrunner status` shows what runs")
        return cls(int(pid), began)

    @property
    def id(self) -> str:
        """``local:PID:START``."""
        return f"local:{self.pid}:{self.began}"

    def wait(self) -> int:
        """The exit code, 128 + n for a process that signal n ended; 0 for one that another shell started.

        The ledger has the exit code in any case.
        """
        if self.process is not None:
            code = self.process.wait()
            return code if code >= 0 else 128 - code
        while self.running():
            time.sleep(_POLL_SECONDS)
        return 0

    def running(self) -> bool:
        """True until the process ended."""
        if self.process is not None:
            return self.process.poll() is None
        return start_time(self.pid) == self.began

    def stop(self, signal_number: int = 15) -> None:
        """Signal the process; harmless when it is gone."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)


@dataclass(frozen=True)
class LocalExecutor:
    """Runs ``python -m cardrunner.worker`` in a session of its own; what it prints goes to ``worker.log``."""

    name: ClassVar[str] = "local"

    def submit(self, folder: RunFolder) -> Job:
        """Start the worker.

        Raises:
            EnvironmentFailed: the log cannot be written, or no process can be started.
        """
        with explained(folder.log, "write"), folder.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(folder.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=child_environment(),
            )
        return LocalJob(process.pid, start_time(process.pid) or "ended", process)


def start_time(pid: int) -> str | None:
    """When a process began, in the system's own unit; None when there is none, or only its remains."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _start_time_of_ps(pid)
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _start_time_of_ps(pid: int) -> str | None:
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "-".join(done.stdout.split()) or None
