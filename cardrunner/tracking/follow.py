"""Watching a run from outside: what its folder records, shown as it appears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cardrunner.contracts import Progress, Task
from cardrunner.errors import IntegrityError
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.jsonl import parse_line
from cardrunner.runs.records import LoadRecord, find_record

_LOOK_SECONDS = 0.2


@dataclass
class Tail:
    """Reads what was appended to a file of JSON lines since the last look; half a line waits for its end."""

    path: Path
    offset: int = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Rows that were not seen yet."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self.offset:  # rewritten after a resume
            self.offset = 0
        if size == self.offset:
            return
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            data = stream.read()
        whole, _, _ = data.rpartition(b"\n")
        self.offset += len(whole) + 1 if whole else 0
        yield from (row for line in whole.split(b"\n") if (row := parse_line(line)) is not None)


def follow(
    folder: RunFolder,
    running: Callable[[], bool],
    progress: Progress,
    *,
    epochs: int,
    seen_enough: Callable[[], bool] = lambda: False,
) -> None:
    """Show a run until it ends.

    Args:
        folder: the run.
        running: whether more is to come.
        progress: where to show it.
        epochs: how many the card plans.
        seen_enough: leave earlier.
    """
    ledger, history = Tail(folder.ledger), Tail(folder.history)
    news = _since_submitted(list(ledger.new()))
    with ExitStack() as bars:
        screen = _Screen(folder, progress, epochs, bars)
        going = True
        while going:
            going = running() and not seen_enough()  # asked before the last look, so that nothing is missed
            for event in (*news, *ledger.new()):
                screen.event(event)
            news = []
            for row in history.new():
                screen.row(row)
            if going:
                time.sleep(_LOOK_SECONDS)


def _since_submitted(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What belongs to the submission that is being watched, not to earlier attempts."""
    last = max((number for number, event in enumerate(events) if event.get("event") == "submitted"), default=-1)
    return events[last + 1 :]


@dataclass
class _Screen:
    folder: RunFolder
    progress: Progress
    epochs: int
    bars: ExitStack
    task: Task | None = None
    examples: int = 0
    shown: set[int] = field(default_factory=set)

    def event(self, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "stage_started":
            self.progress.stage(str(event.get("stage")))
        elif kind in ("warning", "verdict"):
            self.progress.note(f"{event.get('action', 'warning')}: {event.get('message')}")
        elif kind == "restarted":
            self.progress.note(f"restarted with {event.get('set')}: {event.get('reason')}")

    def row(self, line: dict[str, Any]) -> None:
        try:
            row = HistoryRow.model_validate(line)
        except ValidationError:
            return
        if row.kind == "validation" and row.step not in self.shown:
            self.shown.add(row.step)
            self.progress.note(f"epoch {row.epoch}/{self.epochs}: {row.summary()}")
        self._advance(row)

    def _advance(self, row: HistoryRow) -> None:
        if self.task is None:
            self.task = self.bars.enter_context(self.progress.task("training", self._total(), unit="examples"))
        self.task.advance(
            max(row.examples - self.examples, 0), info=f"{row.summary(1)}, epoch {row.epoch}/{self.epochs}"
        )
        self.examples = max(row.examples, self.examples)

    def _total(self) -> int | None:
        try:
            load = find_record(self.folder.record("load"), LoadRecord)
        except IntegrityError:
            return None
        return load.train_examples * self.epochs if load else None
