"""What people see while something takes long: bars on a terminal, plain lines in a pipe, nothing with --quiet."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TextIO

from cardrunner.contracts import Board, Progress, Snapshot, Task
from cardrunner.redaction import coloured, hide
from cardrunner.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBars, TaskID


_LINE_SECONDS = 60.0
_STYLES = {"warning": "yellow", "warn:": "yellow", "investigate:": "bold yellow", "stop:": "bold red"}


class NullProgress:
    """Shows nothing, or only notes and stages as lines.

    Args:
        lines: where they go; None for nowhere.
    """

    def __init__(self, lines: TextIO | None = None) -> None:
        self._lines = lines

    def stage(self, name: str) -> None:
        """Say which stage began."""
        self.note(f"stage {name}")

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:  # noqa: ARG002
        """No bar."""
        yield _NullTask()

    def note(self, text: str) -> None:
        """One line, when there is somewhere for it to go; a reader that left stops nothing."""
        if self._lines is not None:
            with contextlib.suppress(OSError, ValueError):
                self._lines.write(f"{visible(hide(text))}\n")
                self._lines.flush()

    @contextmanager
    def board(self) -> Iterator[Board]:
        """A line now and then, so that a log of hours shows that the run lives."""
        yield _LineBoard(self.note) if self._lines is not None else _NullBoard()


class _NullBoard:
    def show(self, snapshot: Callable[[], Snapshot]) -> None:
        pass


class _LineBoard:
    """One line a minute while it trains.

    Args:
        note: writes it.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note, self._due = note, time.monotonic() + _LINE_SECONDS

    def show(self, snapshot: Callable[[], Snapshot]) -> None:
        if time.monotonic() < self._due or not ((seen := snapshot()).step or seen.warning):
            return
        self._due = time.monotonic() + _LINE_SECONDS
        from cardrunner.tracking.screen import described

        self._note(described(seen))


class _NullTask:
    def advance(self, amount: int = 1, *, info: str = "") -> None:
        pass


class RichProgress:
    """Bars on a terminal.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def stage(self, name: str) -> None:
        """A headline."""
        self._console.print(f"[bold]{name}[/bold]", highlight=False)

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:
        """A bar with speed, time left and what the work has to say."""
        with _bars(self._console) as bars:
            yield _RichTask(bars, bars.add_task(_plain(label), total=total, info="", unit=unit))

    def note(self, text: str) -> None:
        """One line that stays; what wants people's eyes in colour."""
        style = next((style for word, style in _STYLES.items() if text.startswith(word)), None)
        self._console.print(_plain(hide(text)), style=style, highlight=False, soft_wrap=True)

    @contextmanager
    def board(self) -> Iterator[Board]:
        """A few lines at the bottom that change, gone when the run has ended."""
        from cardrunner.tracking.screen import RichBoard

        with RichBoard(self._console) as shown:
            yield shown


class _RichTask:
    def __init__(self, bars: RichBars, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: int = 1, *, info: str = "") -> None:
        self._bars.advance(self._task, amount)
        if info:
            self._bars.update(self._task, info=_plain(info))


def make_progress(quiet: bool) -> Progress:
    """Whatever suits stderr and the arguments."""
    if quiet:
        return NullProgress()
    if not sys.stderr.isatty():
        return NullProgress(sys.stderr)
    from rich.console import Console

    return RichProgress(Console(file=coloured(sys.stderr), no_color=bool(os.environ.get("NO_COLOR")) or None))


_SHOWN: ContextVar[Progress | None] = ContextVar("shown", default=None)


@contextmanager
def showing(progress: Progress) -> Iterator[None]:
    """Let work inside show itself on `progress`, also a worker that runs in this process."""
    token = _SHOWN.set(progress)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def shown() -> Progress:
    """The progress that was chosen for this process; lines on stderr when none was."""
    return _SHOWN.get() or NullProgress(sys.stderr)


def _bars(console: Console) -> AbstractContextManager[RichBars]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as RichBars,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    return RichBars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[info]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
        expand=True,
    )


def _plain(text: str) -> str:
    """Card text may hold square brackets that mean nothing to us, and other text codes that mean much to a terminal."""
    from rich.markup import escape

    return escape(visible(text))
