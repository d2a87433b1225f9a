"""The worker's side of trackers: starts a process for each, and does not wait for them longer than it must."""

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

STATION: Final = "cardrunner.launching.tracker_process"
PATIENCE_SECONDS: Final = 2.5
"""How long a worker waits for its trackers to close, all of them together."""
_NICENESS: Final = 5
LINGER_SECONDS: Final = 30.0
"""How long a tracker may go on sending once the run has ended, while nobody waits for it."""


@dataclass
class Memory:
    """What a tracker needs to know in the next attempt: where the run is, and what it was told already."""

    tracked: Tracked | None = None
    sent: int = -1
    """The step of the last row."""
    validation: bool = False
    """That row was the validation."""

    @property
    def sent_mark(self) -> tuple[int, bool]:
        """Rows up to here were told: a step's training row comes before its validation."""
        return self.sent, self.validation


def read_memory(path: Path) -> Memory:
    """What earlier attempts left; nothing where there was none."""
    try:
        found = json.loads(path.read_bytes())
        tracked = found.pop("tracked")
        return Memory(tracked=Tracked(**tracked) if tracked else None, **found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Memory()


def write_memory(path: Path, memory: Memory) -> None:
    """Whole or not at all; not waited for, since a row told twice is one point."""
    staging = path.with_suffix(".new")
    with contextlib.suppress(OSError):
        staging.write_text(json.dumps(asdict(memory)))
        staging.replace(path)


class Stations:
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
        """Start a process for each; one that cannot be started is told as a tracker that fails."""
        for name in names:
            try:
                process = self._started(name)
            except EnvironmentFailed as error:
                self._say(name, "failed", str(error))
                continue
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)  # from its first import on: training goes first
            self._running[name] = process
            threading.Thread(target=self._watch, args=(name, process), daemon=True).start()

    def close(self) -> None:
        """Let them finish, for a few seconds together; then they go on alone for a while at most."""
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
        """Tell when a process ends before it should."""
        while process.poll() is None:
            if self._closing.wait(0.5):
                return
        if process.poll() and not self._closing.is_set():
            self._say(name, "lost", f"its process ended with {process.poll()}; a resume goes on with it")

    def _say(self, name: str, state: TrackerWord, message: str) -> None:
        with contextlib.suppress(EnvironmentFailed):
            said = TrackerSaid(attempt=self.attempt, name=name, state=state, message=message)
            Ledger(self.folder.ledger).append(said)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        path = self.folder.tracker_log(name)
        with explained(path, "write"):
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as log:
                return subprocess.Popen(
                    python_command(STATION, name, str(self.folder.root), str(self.attempt)),
                    stdin=subprocess.PIPE,  # its lifeline
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the worker
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
