"""The state of a run as people watch it, derived from its ledger, history and heartbeat."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cardrunner.card.estimate import cost_of
from cardrunner.card.load import LoadedCard
from cardrunner.common.clock import utc_seconds
from cardrunner.contracts import RunSnapshot
from cardrunner.errors import IntegrityError
from cardrunner.kill_rules import Observation, RuleHistory
from cardrunner.kill_rules.quantities import QUANTITIES, number_text
from cardrunner.runs.event_model import Audience, Event
from cardrunner.runs.events import AttemptEnded, AttemptStarted, Leaving, Resumed, RuleFired, StageStarted, TrackerSaid
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.heartbeat import HeartbeatRecord, read_heartbeat, silence_warning
from cardrunner.runs.history import HistoryRow, RuleRows, baselines_of, verdict_line
from cardrunner.runs.records import LoadRecord, find_record
from cardrunner.runs.status import is_here, metered_seconds, seconds_before

_WINDOW_SECONDS = 60.0
"""The window over which the pace is measured."""
_PACE_SECONDS = 1.0
"""The interval of heartbeats."""
_MOST_THRESHOLDS = 2


@dataclass
class RunView:
    """What is known of a run from the events, rows and heartbeats so far.

    Args:
        loaded: its card.
        folder: the run.
    """

    loaded: LoadedCard
    folder: RunFolder
    stage: str = ""
    attempt: int = 0
    row: HistoryRow | None = None
    _began: float | None = None
    _before: float = 0.0
    _spent: float | None = None
    """Seconds of all attempts, set once this one has ended."""
    _leaves: bool = False
    _sign: float | None = None
    """The last sign of life of training, in seconds since 1970 by the worker's clock."""
    _heard_at: tuple[float, float] | None = None
    """The newest sign of a worker on another machine: by its clock, and by this one's when it was seen."""
    _examples: int | None = None
    _pulse: HeartbeatRecord | None = None
    _read_at: float = 0.0
    _pace: deque[tuple[float, int]] = field(default_factory=deque)
    _seen: dict[int, Observation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        metrics = self.loaded.spec.metrics
        self._rows = RuleRows(metrics)
        self._judged = RuleHistory(baselines=baselines_of(self.loaded.card, metrics))

    def note(self, event: Event) -> str | None:
        """Add an event; the text that people are shown about it, if any."""
        match event:
            case AttemptStarted():
                self.attempt, self._began = event.attempt, utc_seconds(event.since)
                self._before = seconds_before(self.folder, event.attempt)
                self._spent, self._leaves = None, False
                self._heard_at = None if is_here(self.folder) else (utc_seconds(event.at), time.time())
                self._pace.clear()
            case Resumed() if self.row is not None and self.row.step > event.step:
                self.row = None  # it is trained again
            case AttemptEnded():
                self._spent = metered_seconds(self.folder)
                self._leaves, self._sign = True, None
            case StageStarted():
                self.stage = event.stage
                self._sign = utc_seconds(event.at) if event.stage == "train" and event.at else None
                self._set_clock(event.at)
            case Leaving():
                self._leaves, self.stage = True, "saving"
        return self._sentence(event)

    def _sentence(self, event: Event) -> str | None:
        if isinstance(event, RuleFired):
            return verdict_line(event, self.loaded.card.kill_thresholds)
        text = event.text_for(Audience.SCREEN)
        if text is None:
            return None
        shown = _from_here(text) if isinstance(event, TrackerSaid) else text
        return f"warning: {shown}" if event.warns else shown

    def add(self, row: HistoryRow) -> None:
        """Add a row of the history."""
        self.row = row
        self._heard(row.clock.attempt, row.clock.at)
        self._judged.add(self._rows.row(row))
        for number, rule in enumerate(self.loaded.card.kill_thresholds):
            if (seen := rule.observe_newest(self._judged)) is not None:
                self._seen[number] = seen

    def read_pace(self) -> None:
        """Read the heartbeat, at most once a second, to measure the pace."""
        now = time.time()
        if now - self._read_at < _PACE_SECONDS:
            return
        self._read_at, self._pulse = now, read_heartbeat(self.folder.heartbeat)
        if self._leaves:  # saving is not part of the pace
            return
        if self._pulse is not None and self._pulse.attempt == self.attempt:
            self._heard(self._pulse.attempt, self._pulse.at)
            self._pace.append((now, self._position(self._pulse)[0]))
        while len(self._pace) > 2 and self._pace[1][0] < now - _WINDOW_SECONDS:
            self._pace.popleft()

    def snapshot(self) -> RunSnapshot:
        """The values to show now."""
        now = self._workers_now()
        examples, epoch, step = self._position(self._pulse)
        total = self._total()
        seconds = self._seconds(now)
        left = None if self._leaves else self._left(examples, total)
        return RunSnapshot(
            run=self.folder.name,
            stage=self.stage or "starting",
            attempt=self.attempt,
            epoch=epoch,
            epochs=self.loaded.card.training.planned_epochs,
            step=step,
            examples=examples,
            total=total,
            metrics=self.row.summary(2) if self.row else "",
            examples_per_second=self._speed(),
            seconds_left=left,
            spent=None if seconds is None else cost_of(self.loaded.card, seconds),
            projected=None if seconds is None or left is None else cost_of(self.loaded.card, seconds + left),
            budget=self.loaded.card.timing.budget,
            thresholds=tuple(self._nearest()),
            warning=None if self._sign is None else silence_warning(self.folder.name, now - self._sign),
        )

    def _seconds(self, now: float) -> float | None:
        """Seconds of all attempts so far."""
        if self._spent is not None or self._began is None:
            return self._spent
        return self._before + now - self._began

    def _workers_now(self) -> float:
        """The present by the worker's clock; on another machine, its newest sign and the time since that was seen."""
        if self._heard_at is None:
            return time.time()
        sign, seen = self._heard_at
        return sign + time.time() - seen

    def _set_clock(self, at: str) -> None:
        if self._heard_at is not None and at and utc_seconds(at) > self._heard_at[0]:
            self._heard_at = utc_seconds(at), time.time()

    def _heard(self, attempt: int | None, at: str) -> None:
        if attempt != self.attempt:
            return
        self._set_clock(at)
        if self._sign is not None:
            self._sign = max(self._sign, utc_seconds(at))

    def _position(self, pulse: HeartbeatRecord | None) -> tuple[int, int, int]:
        row = self.row
        if pulse is not None and pulse.attempt == self.attempt and (row is None or pulse.step >= self._logged(row)):
            return pulse.examples, pulse.epoch, pulse.step
        return (row.examples, row.epoch, row.step) if row else (0, 0, 0)

    def _logged(self, row: HistoryRow) -> int:
        """The step of a row of this attempt; one of an earlier attempt may be trained again."""
        return row.step if row.clock.attempt in (None, self.attempt) else 0

    def _speed(self) -> float | None:
        """Examples per second of wall time, validation and saving included."""
        if not self._pace:
            return None
        (first, before), (last, after) = self._pace[0], self._pace[-1]
        return (after - before) / (last - first) if last > first and after > before else None

    def _left(self, examples: int, total: int | None) -> float | None:
        speed = self._speed()
        return (total - examples) / speed if total is not None and speed and total > examples else None

    def _total(self) -> int | None:
        if self._examples is None:
            try:
                load = find_record(self.folder.record("load"), LoadRecord)
            except IntegrityError:
                return None
            self._examples = load.train_examples * (self.loaded.card.training.planned_epochs or 0) if load else None
        return self._examples or None

    def _nearest(self) -> Iterator[str]:
        """The kill thresholds that are nearest to firing, relative to their limits."""
        rules = self.loaded.card.kill_thresholds
        nearest = sorted(self._seen, key=lambda number: _share(self._seen[number]))[:_MOST_THRESHOLDS]
        yield from (f"{rules[number].describe()}: {_distance(self._seen[number])}" for number in nearest)


def _share(seen: Observation) -> float:
    """The share of the way to the limit that is left; -inf for NaN."""
    if math.isnan(seen.room):
        return -math.inf
    whole = seen.idle[1] if seen.idle else abs(seen.limit or 1.0)
    return seen.room / whole


def _distance(seen: Observation) -> str:
    if seen.idle:
        return f"{seen.idle[0]} of {seen.idle[1]} without improvement"
    if seen.metric in QUANTITIES:
        show = number_text(seen.metric)
        return f"at {show(seen.value)}, room {show(seen.room)}"
    return f"at {seen.value:.4g}" + (f", room {seen.room:.3g}" if math.isfinite(seen.room) else "")


def _from_here(text: str) -> str:
    """The text with paths below the current folder made relative."""
    return text.replace(f"{Path.cwd()}/", "")


def values_of(row: HistoryRow) -> dict[str, float]:
    """Names and numbers of a row; its step is the x axis.

    Training metrics over the steps since the previous row keep their names, those over a whole epoch begin with
    ``epoch/``, and validation metrics with ``val_``.
    """
    if row.kind == "train":
        rate = {} if row.learning_rate is None else {"learning_rate": row.learning_rate}
        found = {**row.metrics, **rate, "epoch": float(row.epoch)}
    else:
        found = {name if name.startswith("val_") else f"epoch/{name}": value for name, value in row.metrics.items()}
        found["epoch"] = float(row.epoch)
    clock = {
        "time/examples_per_second": row.clock.examples_per_second,
        "time/epoch_seconds": row.clock.epoch_seconds,
        "time/train_seconds": row.clock.train_seconds if row.kind == "train" else None,
        "time/wait_seconds": row.clock.wait_seconds if row.kind == "train" else None,
    }
    return {**found, **{name: value for name, value in clock.items() if value is not None}}
