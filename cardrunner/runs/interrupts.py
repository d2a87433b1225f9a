"""Asking a run to end: Ctrl-C, SIGTERM, or `cardrunner stop` from any shell."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal, Self

from cardrunner.errors import CardrunnerError, Interrupted, RunStopped, Terminated
from cardrunner.runs.kept_folder import check_in_place
from cardrunner.runs.progress import Progress, Task

Reason = Literal["interrupted", "terminated", "stopped"]
_SIGNALS: dict[int, Reason] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_ERRORS: dict[Reason, tuple[type[CardrunnerError], str]] = {
    "interrupted": (Interrupted, "interrupted by Ctrl-C"),
    "terminated": (Terminated, "ended by SIGTERM"),
    "stopped": (RunStopped, "stopped by `cardrunner stop`"),
}
_POLL_SECONDS = 0.25
LEAVE_VARIABLE = "CARDRUNNER_LEAVE_SECONDS"
"""Set where a signal is followed by SIGKILL: the seconds in between."""


def leave_seconds() -> float | None:
    """How long this process may take to end after a signal; None where that is its own matter."""
    try:
        return float(os.environ[LEAVE_VARIABLE])
    except (KeyError, ValueError):
        return None


class StopRequest:
    """Whether the run was asked to end. The training loop checks it after every step.

    As a context manager it handles SIGINT and SIGTERM: the first one is a request, so that the run can save; the second
    ends the process at once, which is safe because every file is staged and renamed.

    Args:
        file: a file whose existence is a request too; None for signals alone.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._reason: Reason | None = None
        self._polled = -_POLL_SECONDS
        self._before: dict[int, Any] = {}
        self.last_act: Callable[[], object] = bool
        """Called before a second signal ends the process: other processes must not go on without it."""

    @property
    def reason(self) -> Reason | None:
        """Why the run was asked to end; None to go on.

        Raises:
            EnvironmentFailed: the run folder was removed or moved, so that nothing can be saved any more.
        """
        if self._reason is None and self._file is not None and time.monotonic() - self._polled >= _POLL_SECONDS:
            self._polled = time.monotonic()
            check_in_place(self._file)
            self._reason = "stopped" if self._file.exists() else None
        return self._reason

    def request(self, reason: Reason) -> None:
        """Request an end; the first reason stays."""
        self._reason = self._reason or reason

    def raise_if_requested(self) -> None:
        """Raise if an end was requested; save first.

        Raises:
            Interrupted: Ctrl-C.
            Terminated: SIGTERM.
            RunStopped: `cardrunner stop`.
        """
        if (reason := self.reason) is not None:
            raise _error(reason)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._reason in ("interrupted", "terminated"):
            try:
                self.last_act()
            finally:
                os._exit(128 + number)
        self._reason = _SIGNALS[number]


def signal_error(number: int) -> CardrunnerError:
    """The error for a signal that asks a process to end."""
    return _error(_SIGNALS[number])


def _error(reason: Reason) -> CardrunnerError:
    kind, sentence = _ERRORS[reason]
    return kind(sentence)


@dataclass(frozen=True)
class StoppableProgress:
    """Progress of work that can be stopped at any advance because it has nothing to save.

    Args:
        shown: the progress that shows it.
        stop: checked with every advance; raises to leave the work.
    """

    shown: Progress
    stop: StopRequest

    def stage(self, name: str) -> None:
        """Show the name of a stage."""
        self.shown.stage(name)

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:
        """Show a task whose every advance may raise a requested end."""
        with self.shown.task(label, total, unit=unit) as task:
            yield _StoppableTask(task, self.stop)

    def note(self, text: str) -> None:
        """Show a note."""
        self.shown.note(text)


@dataclass(frozen=True)
class _StoppableTask:
    task: Task
    stop: StopRequest

    def advance(self, amount: int = 1, *, info: str = "") -> None:
        self.task.advance(amount, info=info)
        self.stop.raise_if_requested()
