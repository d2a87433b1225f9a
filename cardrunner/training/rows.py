"""Writing history rows: each (kind, step) once, also after a resume."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from cardrunner.runs.clock import utc_now
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.training.loop import Cursor
from cardrunner.training.metrics import Figures


@dataclass
class RowWriter:
    """Appends rows with their clock.

    Attributes:
        attempt: which one writes.
        writes: False in a process that only follows.
        began: when the attempt began, on the clock of `time.monotonic`.
    """

    history: History
    attempt: int
    began: float
    writes: bool = True

    def __post_init__(self) -> None:
        self.present: set[tuple[str, int]] = set()
        self._examples = self._trained = self._before = 0.0
        self.logged_at = time.monotonic()

    def start(self, cursor: Cursor) -> None:
        """Begin counting from here: what was trained and written before belongs to earlier attempts."""
        self.present = {(row.kind, row.step) for row in self.history.rows()}
        self._examples, self._trained = cursor.examples, cursor.train_seconds
        self._before = cursor.train_seconds

    def write(
        self,
        kind: Literal["train", "validation"],
        cursor: Cursor,
        figures: Figures,
        *,
        wait_seconds: float,
        epoch_seconds: float | None = None,
    ) -> HistoryRow:
        """Append a row unless it is there already."""
        row = HistoryRow(
            kind=kind,
            epoch=cursor.epoch,
            step=cursor.step,
            examples=cursor.examples,
            learning_rate=cursor.learning_rate,
            metrics=figures.weighted,
            per_batch=figures.per_batch,
            clock=self._clock(cursor, wait_seconds, epoch_seconds),
        )
        if self.writes and (kind, cursor.step) not in self.present:
            self.history.append(row)
        if kind == "train":
            self.logged_at = time.monotonic()
        return row

    def _clock(self, cursor: Cursor, wait_seconds: float, epoch_seconds: float | None) -> Clock:
        examples, seconds = cursor.examples - self._examples, cursor.train_seconds - self._trained
        if examples:
            self._examples, self._trained = cursor.examples, cursor.train_seconds
        return Clock(
            at=utc_now(),
            attempt=self.attempt,
            seconds=time.monotonic() - self.began,
            train_seconds=cursor.train_seconds - self._before,
            wait_seconds=wait_seconds,
            examples_per_second=examples / seconds if examples and seconds > 0 else None,
            epoch_seconds=epoch_seconds,
        )
