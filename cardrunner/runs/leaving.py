"""Long work that shows its progress can be left in the middle, when somebody asks the run to end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cardrunner.contracts import Progress, Task
from cardrunner.runs.interrupts import StopRequest


@dataclass(frozen=True)
class LeavableProgress:
    """Shows what another one shows. For work that has nothing to save.

    Args:
        shown: the other one.
        stop: looked at with every advance; what it raises leaves the work.
    """

    shown: Progress
    stop: StopRequest

    def stage(self, name: str) -> None:
        """See `Progress`."""
        self.shown.stage(name)

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:
        """See `Progress`."""
        with self.shown.task(label, total, unit=unit) as task:
            yield _LeavableTask(task, self.stop)

    def note(self, text: str) -> None:
        """See `Progress`."""
        self.shown.note(text)


@dataclass(frozen=True)
class _LeavableTask:
    task: Task
    stop: StopRequest

    def advance(self, amount: int = 1, *, info: str = "") -> None:
        self.task.advance(amount, info=info)
        self.stop.raise_if_requested()
