"""Follows a run from its folder, and shows events and rows as they appear."""

from __future__ import annotations

import contextlib
import heapq
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter

from pydantic import ValidationError

from cardrunner.card.load import LoadedCard
from cardrunner.common.text import plural
from cardrunner.contracts import Board, Progress, ShowsRuns
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import StageStarted, Submitted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.jsonl import Tail
from cardrunner.runs.ledger import LedgerTail
from cardrunner.tracking.run_view import RunView

_POLL_SECONDS = 0.5


def follow(
    loaded: LoadedCard,
    folder: RunFolder,
    running: Callable[[], bool],
    progress: Progress,
    *,
    since: int | None = None,
    sync: Callable[[], object] = lambda: None,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Show a run until it ends.

    Args:
        loaded: its card.
        folder: the run.
        running: whether the run goes on.
        progress: where to show it.
        since: the byte of the ledger to begin at; by default that of the newest submission.
        sync: updates the folder; may raise EnvironmentFailed, which is shown once.
        enough: whether to return earlier.
    """
    screen = _Screen(loaded, folder, progress, since)
    board = progress.board() if isinstance(progress, ShowsRuns) else contextlib.nullcontext(None)
    with board as shown:
        going = True
        while going:
            going = running() and not enough()  # asked before the last refresh, which then misses nothing
            screen.sync(sync)
            screen.refresh(shown)
            if going:
                time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def following(loaded: LoadedCard, folder: RunFolder, progress: Progress, *, since: int) -> Iterator[None]:
    """Show a run from another thread while it runs in this one."""
    over = threading.Event()
    thread = threading.Thread(
        target=follow,
        args=(loaded, folder, lambda: not over.wait(0), progress),
        kwargs={"since": since},
        name="follow",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=10)


class _Screen:
    def __init__(self, loaded: LoadedCard, folder: RunFolder, progress: Progress, since: int | None) -> None:
        self.progress, self.epochs = progress, loaded.card.training.planned_epochs
        self.view = RunView(loaded, folder)
        self.ledger, self.history = LedgerTail(folder.ledger, since or 0), Tail(folder.history)
        self.skipping = since is None
        self.earlier = _attempts_before(folder)
        """Attempts whose rows were shown when they came."""
        self.left_out: list[HistoryRow] | None = []
        self.shown: set[int] = set()
        self.warned = False

    def refresh(self, board: Board | None) -> None:
        """Show new events and rows."""
        events = list(self.ledger.events())
        if self.skipping:
            events = _since_submitted(events)
        self.skipping = False
        # merged by time; events and rows keep their own order even if the clock jumps
        told = ((event.at, partial(self._event, event)) for event in events)
        measured = ((row.clock.at, partial(self._row, row)) for row in self._rows())
        for _, show in heapq.merge(told, measured, key=itemgetter(0)):
            show()
        self._tell_left_out()
        if board is not None:
            self.view.read_pace()
            board.show(self.view.snapshot)

    def sync(self, sync: Callable[[], object]) -> None:
        try:
            sync()
            self.warned = False
        except EnvironmentFailed as error:
            if not self.warned:
                self.progress.note(f"shown as of the last update: {error}")
            self.warned = True

    def _event(self, event: Event) -> None:
        text = self.view.note(event)
        if isinstance(event, StageStarted):
            self.progress.stage(event.stage)
        elif text is not None:
            self.progress.note(text)

    def _rows(self) -> Iterator[HistoryRow]:
        for line in self.history.new():
            with contextlib.suppress(ValidationError):
                yield HistoryRow.model_validate(line)

    def _tell_left_out(self) -> None:
        """Once, how far earlier attempts came."""
        if self.left_out:
            steps = max(row.step for row in self.left_out)
            rows = plural(len(self.left_out), "row")
            self.progress.note(f"{rows} of earlier attempts, up to step {steps:,}")
        self.left_out = None

    def _row(self, row: HistoryRow) -> None:
        if row.clock.attempt is not None and row.clock.attempt <= self.earlier:
            if self.left_out is not None:
                self.left_out.append(row)
        elif row.kind == "validation":
            if row.step in self.shown:
                return
            self.shown.add(row.step)
            self.progress.note(row.headline(self.epochs))
        self.view.add(row)


def _attempts_before(folder: RunFolder) -> int:
    """The number of the last attempt before the newest submission; 0 for the first."""
    numbers = [0]
    newest = 0
    for event in LedgerTail(folder.ledger, 0).events():
        if isinstance(event, Submitted):
            newest = max(numbers)
        numbers.append(getattr(event, "attempt", None) or 0)
    return newest


def _since_submitted(events: list[Event]) -> list[Event]:
    """The events after the newest submission."""
    last = max((number for number, event in enumerate(events) if isinstance(event, Submitted)), default=-1)
    return events[last + 1 :]
