"""Shows long work: bars on a terminal, plain lines in a pipe, nothing with --quiet."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TextIO

from cardrunner.common.redaction import coloured, hide, visible
from cardrunner.contracts import Board, Progress, RunSnapshot, Task

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
        """Write a line about the stage that began."""
        self.note(f"stage {name}")

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:  # noqa: ARG002
        """A task without a bar."""
        yield _NullTask()

    def note(self, text: str) -> None:
        """Write one line, if there is a stream. A closed stream is ignored."""
        if self._lines is not None:
            with contextlib.suppress(OSError, ValueError):
                self._lines.write(f"{visible(hide(text))}\n")
                self._lines.flush()

    @contextmanager
    def board(self) -> Iterator[Board]:
        """A line per minute, so that a long log shows that the run is alive."""
        yield _LineBoard(self.note) if self._lines is not None else _NullBoard()


class _NullBoard:
    def show(self, snapshot: Callable[[], RunSnapshot]) -> None:
        pass


class _LineBoard:
    """One line per minute while the run trains.

    Args:
        note: writes it.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note, self._due = note, time.monotonic() + _LINE_SECONDS

    def show(self, snapshot: Callable[[], RunSnapshot]) -> None:
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
        """Print the stage as a headline."""
        self._console.print(f"[bold]{name}[/bold]", highlight=False)

    @contextmanager
    def task(self, label: str, total: int | None = None, *, unit: str = "") -> Iterator[Task]:
        """A bar with speed, time left and the work's own information."""
        with _bars(self._console) as bars:
            yield _RichTask(bars, bars.add_task(_plain(label), total=total, info="", unit=unit))

    def note(self, text: str) -> None:
        """Print a line that stays; warnings and verdicts in colour."""
        style = next((style for word, style in _STYLES.items() if text.startswith(word)), None)
        self._console.print(_plain(hide(text)), style=style, highlight=False, soft_wrap=True)

    @contextmanager
    def board(self) -> Iterator[Board]:
        """Lines at the bottom that are redrawn, and removed when the run ends."""
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
    """The progress display that suits stderr and the arguments."""
    if quiet:
        return NullProgress()
    if not sys.stderr.isatty():
        return NullProgress(sys.stderr)
    from rich.console import Console

    return RichProgress(Console(file=coloured(sys.stderr), no_color=bool(os.environ.get("NO_COLOR")) or None))


_SHOWN: ContextVar[Progress | None] = ContextVar("shown", default=None)


@contextmanager
def showing(progress: Progress) -> Iterator[None]:
    """Make `progress` the display of the work in this block, including an inline worker."""
    token = _SHOWN.set(progress)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def shown() -> Progress:
    """The progress display of this process; by default lines on stderr."""
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
    """Escape square brackets, which rich would read as markup, and codes that a terminal would obey."""
    from rich.markup import escape

    return escape(visible(text))
