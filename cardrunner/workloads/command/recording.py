"""The rows that a script reports as rows of the history, each kind and step once."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cardrunner.common.clock import utc_now
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.training.budget import Spending
from cardrunner.workloads.command.reports.base import Kind
from cardrunner.workloads.command.reports.rows import ReportedRow
from cardrunner.workloads.command.sections import CommandTraining

_KINDS: Mapping[Kind, Literal["train", "validation"]] = {"validation": "validation", "log": "train"}


@dataclass
class Distance:
    """How far the training has come, by the card's length.

    A script may count epochs from 0 and report whole numbers alone; the last of them then stands for the whole.

    Args:
        training: the card's section.
        first: the first epoch that the script reported, in whichever attempt; None before its first row.
    """

    training: CommandTraining
    first: float | None = None
    reached: float | None = None
    """The progress of the newest row: epochs, or the share of the steps; None where the card states no length."""
    _whole: bool = True

    def row(self, row: ReportedRow) -> float | None:
        """The progress at a row."""
        found = self._progress(row)
        if found is not None:
            self.reached = max(found, self.reached or 0.0)
        return found

    def _progress(self, row: ReportedRow) -> float | None:
        steps = self.training.planned_steps
        if steps is not None:
            return min(1.0, row.step / steps)
        if self.training.planned_epochs is None or row.epoch is None or not math.isfinite(row.epoch):
            return None
        self.first = row.epoch if self.first is None else self.first
        self._whole = self._whole and float(row.epoch).is_integer()
        return max(0.0, row.epoch + (1 if self._counts_from_zero else 0))

    @property
    def _counts_from_zero(self) -> bool:
        return self._whole and self.first == 0

    def epoch(self, kind: str, progress: float) -> int:
        """The epoch of a row, counted from 1: that of a validation is behind it."""
        over = kind == "validation" or self._whole  # a whole number names the epoch that runs
        return min(max(1, math.ceil(progress) if over else math.floor(progress) + 1), self.training.planned_epochs or 1)

    @property
    def share(self) -> float | None:
        """The part of the whole that is trained; None where the card states no length, 0 before the first row."""
        return None if self.training.whole is None else (self.reached or 0.0) / self.training.whole


@dataclass
class RowRecorder:
    """Appends rows with their clock.

    Args:
        history: where to.
        attempt: the number of the attempt.
        distance: how far the training has come.
        spending: time and money that the run has used.
        earlier: seconds that the script ran before it was started this time; at least those that the history has.
    """

    history: History
    attempt: int
    distance: Distance
    spending: Spending
    earlier: float
    newest: HistoryRow | None = None
    left_out: int = 0
    """Rows of steps that are there already, or that came after a later step of their kind."""
    _began: float = field(default_factory=time.monotonic)
    _from: tuple[float, float] | None = None
    """The time and the progress of the first row."""

    def __post_init__(self) -> None:
        self._last = {"train": -1, "validation": -1}
        for row in self.history.rows():
            self._last[row.kind] = max(self._last[row.kind], row.step)
            self.newest = row
        self.distance.reached = self.newest.progress if self.newest else None
        if self.newest is not None:  # of an attempt that was killed before it could say how long the script ran
            self.earlier = max(self.earlier, self.newest.clock.trained_seconds or 0.0)

    def rewind(self) -> None:
        """Take the history as it is now, after rows of it were dropped."""
        self.newest = None
        self.__post_init__()

    @property
    def seconds(self) -> float:
        """How long the script has run, in all attempts."""
        return self.earlier + time.monotonic() - self._began

    def write(self, reported: ReportedRow) -> HistoryRow | None:
        """Append a row; None for one that the history has, or whose time is over."""
        kind = _KINDS[reported.kind]
        if reported.step <= self._last[kind]:
            self.left_out += 1
            return None
        self._last[kind] = reported.step
        progress = self.distance.row(reported)
        row = HistoryRow(
            kind=kind,
            epoch=self._epoch(kind, progress),
            step=reported.step,
            progress=progress,
            metrics=dict(reported.values),
            reported=True,
            clock=self._clock(progress),
        )
        self.history.append(row)
        self.newest = row
        return row

    def _epoch(self, kind: str, progress: float | None) -> int:
        if self.distance.training.planned_epochs is None or progress is None:
            return 0
        before = self.newest.epoch if self.newest else 0
        return max(before, self.distance.epoch(kind, progress))

    def _clock(self, progress: float | None) -> Clock:
        total, left = self.spending.seconds(), self._left(progress)
        return Clock(
            at=utc_now(),
            attempt=self.attempt,
            seconds=self.spending.attempt_seconds(),
            train_seconds=time.monotonic() - self._began,
            trained_seconds=self.seconds,
            total_seconds=total,
            cost_usd=self.spending.cost(total),
            projected_seconds=None if left is None else total + left,
            projected_cost_usd=None if left is None else self.spending.cost(total + left),
        )

    def _left(self, progress: float | None) -> float | None:
        """Seconds until the end, at the pace since the first row of this start."""
        whole, now = self.distance.training.whole, time.monotonic()
        if progress is None or whole is None:
            return None
        if self._from is None:
            self._from = now, progress
            return None
        began, before = self._from
        return max(0.0, whole - progress) * (now - began) / (progress - before) if progress > before else None
