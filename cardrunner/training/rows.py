"""Writing history rows: each (kind, step) once, also after a resume."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from cardrunner.common.clock import utc_now
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.training.budget import Spending
from cardrunner.training.loop import Cursor
from cardrunner.training.metrics import Figures

FORWARD_SHARE = 1 / 3
"""The cost of scoring an example as a share of training on it: a backward pass is about twice the forward pass
(J. Kaplan et al., "Scaling Laws for Neural Language Models", 2020, section 2.1). The error is small, and shrinks with
every validation, whose time is measured too."""


@dataclass
class Pace:
    """Measures work against the clock, from the first step of the attempt on, which still warms up.

    Work is counted in training examples; a validation counts as those that would take as long. The time of everything
    else between two steps (saving, logging, waiting) is included.

    Args:
        epochs: of the run.
        examples: trained per epoch.
        validation_examples: scored per validation.
    """

    epochs: int
    examples: int
    validation_examples: int
    _began: tuple[float, float] | None = None

    def step(self, cursor: Cursor) -> None:
        """Note the first step; every later one costs nothing."""
        if self._began is None:
            self._began = time.monotonic(), self._done(cursor, validated=False)

    def seconds_left(self, cursor: Cursor, *, validated: bool) -> float | None:
        """Seconds until the last validation; None before the first measurement.

        Args:
            cursor: where the training stands.
            validated: the epoch in progress was trained, and just validated.
        """
        if self._began is None:
            return None
        (began, before), done = self._began, self._done(cursor, validated=validated)
        left = self.epochs * self._epoch - done
        return max(left, 0.0) * (time.monotonic() - began) / (done - before) if done > before else None

    @property
    def _epoch(self) -> float:
        return self.examples + FORWARD_SHARE * self.validation_examples

    def _done(self, cursor: Cursor, *, validated: bool) -> float:
        if validated:
            return cursor.epoch * self._epoch
        return (cursor.epoch - 1) * self._epoch + min(cursor.position, self.examples)


@dataclass
class RowWriter:
    """Appends rows with their clock.

    Attributes:
        attempt: the number of the attempt that writes.
        writes: False in a process that follows the leader.
        examples: trained per epoch.
        spending: time and money that the run has used.
        pace: how fast it goes.
        newest: the last row written by this attempt.
    """

    history: History
    attempt: int
    examples: int
    spending: Spending
    pace: Pace
    writes: bool = True
    newest: HistoryRow | None = None

    def __post_init__(self) -> None:
        self.present: set[tuple[str, int]] = set()
        self._examples = self._trained = self._before = self._waited = 0.0
        self.logged_at = time.monotonic()

    def start(self, cursor: Cursor) -> None:
        """Begin counting from here: earlier training and rows belong to earlier attempts."""
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
        """Append a row unless it exists already."""
        row = HistoryRow(
            kind=kind,
            epoch=cursor.epoch,
            step=cursor.step,
            examples=cursor.examples,
            learning_rate=cursor.learning_rate,
            progress=cursor.epoch - 1 + min(1.0, cursor.position / self.examples),
            metrics=figures.weighted,
            per_batch=figures.per_batch,
            clock=self._clock(kind, cursor, wait_seconds, epoch_seconds),
        )
        self.newest = row
        if self.writes and (kind, cursor.step) not in self.present:
            self.history.append(row)
        if kind == "train":
            self.logged_at = time.monotonic()
        return row

    def _clock(
        self, kind: Literal["train", "validation"], cursor: Cursor, wait_seconds: float, epoch_seconds: float | None
    ) -> Clock:
        examples, seconds = cursor.examples - self._examples, cursor.train_seconds - self._trained
        waited, spending = wait_seconds - self._waited, self.spending
        if examples:
            self._examples, self._trained, self._waited = cursor.examples, cursor.train_seconds, wait_seconds
        left, total = self.pace.seconds_left(cursor, validated=kind == "validation"), spending.seconds()
        return Clock(
            at=utc_now(),
            attempt=self.attempt,
            seconds=spending.attempt_seconds(),
            train_seconds=cursor.train_seconds - self._before,
            wait_seconds=wait_seconds,
            examples_per_second=examples / seconds if examples and seconds > 0 else None,
            epoch_seconds=epoch_seconds,
            trained_seconds=cursor.train_seconds,
            wait_share=min(1.0, waited / seconds) if examples and seconds > 0 else None,
            total_seconds=total,
            cost_usd=spending.cost(total),
            projected_seconds=None if left is None else total + left,
            projected_cost_usd=None if left is None else spending.cost(total + left),
        )
