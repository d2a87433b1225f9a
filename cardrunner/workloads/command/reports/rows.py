"""Readings of all sources joined to rows: the values of one step of one kind, each metric and step once.

A row is closed, and given out, when a value of a later step comes, or after two seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import NamedTuple

from cardrunner.common.text import plural
from cardrunner.workloads.command.reports.base import MOST_NAMES, Kind, Reading

SECONDS_OPEN = 2.0
"""How long a row waits for values of its step from other sources."""
_NO_STEP = 2**62
_MOST_RECENT = 10_000
"""Values, and once more as many older ones, that are kept to be compared with those of other sources."""
_RELATIVE, _ABSOLUTE = 1e-3, 5e-5
"""How far apart two sources may be: one may print four digits, another holds float32."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A metric of the card, as its rows need it.

    Args:
        name: of the metric.
        reads: the names under which sources report it; several where each source has its own.
        at: the kind of its rows.
        every: the steps between two rows, where the card states them.
        within: seconds in which its first row has to come, where they are others than the card's `first_metric`.
    """

    name: str
    reads: tuple[str, ...]
    at: Kind
    every: int | None = None
    within: float | None = None


class ReportedRow(NamedTuple):
    """What the script reported for one step."""

    kind: Kind
    step: int
    epoch: float | None
    values: Mapping[str, float]
    """By the names of the card's metrics."""
    sources: tuple[str, ...]
    late: bool = False
    """A row of this kind with a later step was closed before: one of the sources lags."""
    read_at: float = 0.0
    """When its first value was read, on the clock of the rows."""


@dataclass(frozen=True)
class Notice:
    """Something about the reports that people are told once."""

    about: str
    """``sources disagree`` or ``steps go back``."""
    sentence: str


@dataclass
class Seen:
    """The names that sources reported, of declared metrics and others, each with its newest step."""

    names: dict[str, int] = field(default_factory=dict)
    more: int = 0
    """Values of further names, which are not kept."""

    def add(self, name: str, step: int) -> None:
        """Remember a name; only the first `MOST_NAMES`."""
        if name in self.names or len(self.names) < MOST_NAMES:
            self.names[name] = step
        else:
            self.more += 1


class Rows:
    """Joins the readings of one attempt.

    Args:
        declared: the card's metrics.
        after: the step of the checkpoint that a resumed run goes on from: values up to it were recorded before.
        epoch_from: the name whose value is the epoch, where readings do not say it themselves.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        declared: Sequence[Declared],
        *,
        after: int | None = None,
        epoch_from: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._epoch_from = clock, epoch_from
        self._by_read: dict[str, list[Declared]] = {}
        for metric in declared:
            for name in metric.reads:
                self._by_read.setdefault(name, []).append(metric)
        self._after = -1 if after is None else after
        self._marks = {metric.name: self._after for metric in declared}
        self._of_kind: dict[Kind, list[str]] = {"validation": [], "log": []}
        for metric in declared:
            self._of_kind[metric.at].append(metric.name)
        self._closed: dict[Kind, int] = {"validation": -1, "log": -1}
        self._open: dict[tuple[Kind, int], _OpenRow] = {}
        self._oldest = _NO_STEP
        self._recent: dict[tuple[str, int], tuple[float, str]] = {}
        self._less_recent: dict[tuple[str, int], tuple[float, str]] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._told: set[str] = set()
        self.notices: list[Notice] = []
        self.seen = Seen()
        self.disagreements = self.went_back = self.before_resume = 0

    @property
    def started(self) -> bool:
        """Whether a new value of a declared metric has come: the proof of a start."""
        return any(mark > self._after for mark in self._marks.values())

    @property
    def newest(self) -> int:
        """The newest step of a declared metric, of rows that are still open too; -1 before the first."""
        return max(self._marks.values(), default=-1)

    def newest_of(self, kind: Kind) -> int:
        """The newest step of a declared metric of a kind; -1 before the first."""
        return max((self._marks[name] for name in self._of_kind[kind]), default=-1)

    def take(self, readings: Iterable[Reading]) -> Iterator[ReportedRow]:
        """Rows that are closed after the readings of one look at all sources, in the order of their steps."""
        found = sorted(filter(self._relevant, readings), key=attrgetter("step"))
        now = self._clock()
        for reading in found:
            step = reading.step
            for kind, values in self._by_kind(reading).items():
                if step > self._oldest:
                    yield from self._close(before=step)
                row = self._open.get((kind, step))
                if row is None:
                    row = self._open[kind, step] = _OpenRow(now)
                    if step < self._oldest:
                        self._oldest = step
                row.add(values, reading, self._epoch_from)
        yield from self.due()

    def due(self) -> Iterator[ReportedRow]:
        """Rows that have waited long enough."""
        yield from self._close(opened_before=self._clock() - SECONDS_OPEN)

    def finish(self) -> Iterator[ReportedRow]:
        """What is still open when the script has ended."""
        yield from self._close(opened_before=math.inf)

    def _relevant(self, reading: Reading) -> bool:
        """Note its names and whether its steps go back; False if it has no declared metric."""
        declared, step, seen = False, reading.step, self.seen.names
        for name in reading.values:
            if name in seen:  # nearly always, without a call
                seen[name] = step
            else:
                self.seen.add(name, step)
            if name in self._by_read:
                declared, key = True, (reading.where, name)
                if step >= (newest := self._newest.get(key, -1)):
                    self._newest[key] = step
                else:
                    self._note_step_back(name, newest, reading)
        return declared

    def _note_step_back(self, name: str, newest: int, reading: Reading) -> None:
        self.went_back += 1
        self._tell(
            "steps go back",
            f"{name} of {reading.where} went back from step {newest:,} to {reading.step:,}: values of steps that were"
            " recorded are left out; if the step counts from 0 in each epoch, report one that goes on",
        )

    def _by_kind(self, reading: Reading) -> dict[Kind, dict[str, float]]:
        """The values of declared metrics that are new, by kind and the card's names."""
        found: dict[Kind, dict[str, float]] = {}
        for name, value in reading.values.items():
            for metric in self._by_read.get(name, ()):
                if self._is_new(metric, value, reading):
                    if metric.at not in found:
                        found[metric.at] = {}
                    found[metric.at][metric.name] = value
        return found

    def _is_new(self, metric: Declared, value: float, reading: Reading) -> bool:
        key = (metric.name, reading.step)
        if reading.step > self._marks[metric.name]:
            self._marks[metric.name] = reading.step
            if len(self._recent) >= _MOST_RECENT:
                self._less_recent, self._recent = self._recent, {}
            self._recent[key] = (value, reading.where)
            return True
        if reading.step <= self._after:
            self.before_resume += 1
        elif (before := self._recent.get(key, self._less_recent.get(key))) is not None and not _agree(before[0], value):
            self.disagreements += 1
            self._tell(
                "sources disagree",
                f"{metric.name} at step {reading.step:,} is {before[0]:.6g} by {before[1]} and {value:.6g} by"
                f" {reading.where}; the first counts",
            )
        return False

    def _close(self, *, before: int = -1, opened_before: float = -math.inf) -> Iterator[ReportedRow]:
        ready = [key for key, row in self._open.items() if key[1] < before or row.since <= opened_before]
        if len(ready) > 1:
            ready.sort(key=itemgetter(1))
        for key in ready:
            kind, step = key
            late = step <= self._closed[kind]
            if not late:
                self._closed[kind] = step
            yield self._open.pop(key).closed(kind, step, late=late)
        self._oldest = min([step for _, step in self._open]) if self._open else _NO_STEP

    def _tell(self, about: str, sentence: str) -> None:
        if about not in self._told:
            self._told.add(about)
            self.notices.append(Notice(about, sentence))

    def summary(self) -> str:
        """What was left out, in a few words for the end of a run; empty for none of it."""
        parts = (
            (self.disagreements, "value on which sources disagree", "values on which sources disagree"),
            (self.went_back, "value of a step that goes back", "values of steps that go back"),
        )
        return ", ".join(plural(count, one, many) for count, one, many in parts if count)


class _OpenRow:
    __slots__ = ("epoch", "since", "sources", "values")

    def __init__(self, since: float) -> None:
        self.since = since
        self.epoch: float | None = None
        self.values: dict[str, float] = {}
        self.sources: dict[str, None] = {}

    def add(self, values: Mapping[str, float], reading: Reading, epoch_from: str | None) -> None:
        self.values.update(values)
        self.sources[reading.where] = None
        epoch = reading.epoch if epoch_from is None else reading.values.get(epoch_from, reading.epoch)
        if epoch is not None:
            self.epoch = epoch

    def closed(self, kind: Kind, step: int, *, late: bool) -> ReportedRow:
        return ReportedRow(kind, step, self.epoch, self.values, tuple(self.sources), late, self.since)


def _agree(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
