"""inline: the worker runs in this process. For tests, debugging and first runs."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import ClassVar

from cardrunner.contracts import Job
from cardrunner.errors import UsageError
from cardrunner.executors import WORKER
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import is_live, is_supervised


@dataclass(frozen=True)
class InlineJob:
    """A worker that runs in the submitting process, during `wait`."""

    folder: RunFolder
    pid: int

    @property
    def id(self) -> str:
        """``inline:PID``."""
        return f"inline:{self.pid}"

    def sync(self) -> None:
        """Nothing to do: the worker writes this very folder."""

    def wait(self) -> int:
        """Run the worker here; its exit code."""
        worker = importlib.import_module(WORKER)
        return int(worker.run_worker(self.folder.root, workspace=self.folder.workspace))

    def running(self) -> bool:
        """True while the worker runs or the run is being finished."""
        return is_live(self.folder) or is_supervised(self.folder)

    def stop(self, signal_number: int = 15) -> None:
        """Send a signal to the process, whose worker handles it."""
        os.kill(self.pid, signal_number)


@dataclass(frozen=True)
class InlineExecutor:
    """Runs the worker in this process."""

    name: ClassVar[str] = "inline"
    survives_client: ClassVar[bool] = False
    finishes_unattended: ClassVar[bool] = True
    start_seconds: ClassVar[float] = 60.0

    def submit(self, folder: RunFolder) -> Job:
        """A job that runs on `wait`."""
        return InlineJob(folder, os.getpid())

    def attach(self, folder: RunFolder, job_id: str) -> Job:
        """The job of an id, from any shell of this machine.

        Raises:
            UsageError: it is not the id of an inline job.
        """
        kind, _, pid = job_id.partition(":")
        if kind != self.name or not pid.isdigit():
            raise UsageError(f"{job_id} is not the id of an inline job; `cardrunner status` shows what runs")
        return InlineJob(folder, int(pid))
