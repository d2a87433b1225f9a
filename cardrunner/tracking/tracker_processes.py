"""The worker's side of trackers: starts a process for each, and waits for them a few seconds at the end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from cardrunner.contracts import Tracked
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.environment import child_environment, python_command
from cardrunner.runs.events import TrackerSaid, TrackerWord
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger

TRACKER_PROCESS: Final = "cardrunner.launching.tracker_process"
PATIENCE_SECONDS: Final = 2.5
"""How long a worker waits for its trackers to close, all of them together."""
_NICENESS: Final = 5
LINGER_SECONDS: Final = 30.0
"""How long a tracker may go on sending after the worker has stopped waiting for it."""


@dataclass
class Memory:
    """What a tracker process needs from earlier attempts: where the run is, and which rows were sent."""

    tracked: Tracked | None = None
    sent: int = -1
    """The step of the last row sent."""
    validation: bool = False
    """Whether that row was a validation."""

    @property
    def sent_mark(self) -> tuple[int, bool]:
        """The last row sent, in the order of the history: a step's training row comes before its validation."""
        return self.sent, self.validation


def read_memory(path: Path) -> Memory:
    """The memory of earlier attempts; empty before the first one."""
    try:
        found = json.loads(path.read_bytes())
        tracked = found.pop("tracked")
        return Memory(tracked=Tracked(**tracked) if tracked else None, **found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Memory()


def write_memory(path: Path, memory: Memory) -> None:
    """Write the memory atomically, without a flush: a row that is sent twice is still one point."""
    staging = path.with_suffix(".new")
    with contextlib.suppress(OSError):
        staging.write_text(json.dumps(asdict(memory)))
        staging.replace(path)


class TrackerProcesses:
    """The tracker processes of one attempt.

    Args:
        folder: the run.
        attempt: its number.
    """

    def __init__(self, folder: RunFolder, attempt: int) -> None:
        self.folder, self.attempt = folder, attempt
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._closing = threading.Event()

    def start(self, names: Iterable[str]) -> None:
        """Start a process for each. One that cannot be started is recorded as a failed tracker."""
        for name in names:
            try:
                process = self._started(name)
            except EnvironmentFailed as error:
                self._report(name, "failed", str(error))
                continue
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)  # from its first import on
            self._running[name] = process
            threading.Thread(target=self._watch, args=(name, process), daemon=True).start()

    def close(self) -> None:
        """Wait up to `PATIENCE_SECONDS` for all of them; after that they have `LINGER_SECONDS` to finish alone."""
        self._closing.set()
        until = time.monotonic() + PATIENCE_SECONDS
        for process in self._running.values():
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Record it if a process dies early."""
        while process.poll() is None:
            if self._closing.wait(0.5):
                return
        if process.poll() and not self._closing.is_set():
            self._report(name, "lost", f"its process ended with {process.poll()}; a resume goes on with it")

    def _report(self, name: str, state: TrackerWord, message: str) -> None:
        with contextlib.suppress(EnvironmentFailed):
            said = TrackerSaid(attempt=self.attempt, name=name, state=state, message=message)
            Ledger(self.folder.ledger).append(said)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        path = self.folder.tracker_log(name)
        with explained(path, "write"):
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as log:
                return subprocess.Popen(
                    python_command(TRACKER_PROCESS, name, str(self.folder.root), str(self.attempt)),
                    stdin=subprocess.PIPE,  # closes with the worker
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # only the worker receives Ctrl-C
                    env=_environment(),
                )


def _environment() -> dict[str, str]:
    quiet = {
        "WANDB_SILENT": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_DISABLE_CODE": "true",
        "WANDB_ERROR_REPORTING": "false",
        "OMP_NUM_THREADS": "1",
    }
    return {**child_environment(), **quiet}
