"""inline: the worker runs in this process. For tests, debugging and a first look."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import ClassVar

from cardrunner.contracts import Job
from cardrunner.executors import WORKER
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import is_live


@dataclass(frozen=True)
class InlineJob:
    """A worker that runs when somebody waits for it."""

    folder: RunFolder

    @property
    def id(self) -> str:
        """This process."""
        return f"inline:{os.getpid()}"

    def wait(self) -> int:
        """Run the worker here; its exit code."""
        worker = importlib.import_module(WORKER)
        return int(worker.run_worker(self.folder.root))

    def running(self) -> bool:
        """True while the worker is in `wait`."""
        return is_live(self.folder)

    def stop(self, signal_number: int = 15) -> None:
        """Signal this process, which handles it as any worker does."""
        os.kill(os.getpid(), signal_number)


@dataclass(frozen=True)
class InlineExecutor:
    """Runs the worker in this process."""

    name: ClassVar[str] = "inline"

    def submit(self, folder: RunFolder) -> Job:
        """A job that runs once it is waited for."""
        return InlineJob(folder)
