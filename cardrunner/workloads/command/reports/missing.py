"""A declared metric that does not come: thresholds on it would never fire, and a run would go on for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cardrunner.common.text import did_you_mean, plural
from cardrunner.common.units import format_duration
from cardrunner.workloads.command.reports.base import Kind, shortened
from cardrunner.workloads.command.reports.rows import Declared, ReportedRow, Seen

TIMES = 3
"""Of its expected interval, after which a row is missing."""
_NAMES_SHOWN = 12


@dataclass(frozen=True)
class Missing:
    """A metric without rows where there should be some."""

    metric: str
    sentence: str


class Expected:
    """Which of the declared metrics are missing, each told once.

    A metric is missing from the beginning when, without a row of it, rows of its kind came three times, three of the
    intervals passed that the card states for it, or its time is over. It is missing later when rows of its kind came
    for more than three times its longest interval.

    Args:
        declared: the card's metrics.
        first_metric: seconds from the start of an attempt in which the first row has to come.
    """

    def __init__(self, declared: Sequence[Declared], *, first_metric: float) -> None:
        self._declared = {metric.name: _Coming(metric) for metric in declared}
        self._first_metric = first_metric
        self._rows: dict[Kind, int] = {"validation": 0, "log": 0}
        self._newest: dict[Kind, int] = {"validation": -1, "log": -1}
        self._first_step: int | None = None
        self._told: set[str] = set()

    def row(self, row: ReportedRow) -> None:
        """Take note of a row."""
        self._rows[row.kind] += 1
        self._newest[row.kind] = max(row.step, self._newest[row.kind])
        self._first_step = row.step if self._first_step is None else self._first_step
        for name in row.values.keys() & self._declared.keys():
            self._declared[name].came(row.step)

    def missing(self, seen: Seen, *, seconds: float) -> Iterator[Missing]:
        """Metrics that are missing now and were not told before.

        Args:
            seen: the names that sources reported.
            seconds: since the start of the attempt.
        """
        for name, coming in self._declared.items():
            if name not in self._told and (why := self._why(coming, seen, seconds)) is not None:
                self._told.add(name)
                yield Missing(name, why)

    def never(self, seen: Seen) -> Iterator[Missing]:
        """Metrics without any row, now that the script has ended, that were not told before.

        Args:
            seen: the names that sources reported.
        """
        for name, coming in self._declared.items():
            if name not in self._told and coming.newest is None:
                self._told.add(name)
                reads = " or ".join(coming.metric.reads)
                yield Missing(
                    name, f"{reads} was never reported until the script ended; {names_seen(seen, coming.metric)}"
                )

    def _why(self, coming: _Coming, seen: Seen, seconds: float) -> str | None:
        if coming.newest is not None:
            return self._why_no_more(coming)
        metric = coming.metric
        newest, within = max(self._newest.values()), metric.within or self._first_metric
        if metric.every is not None:
            if self._first_step is None or newest - self._first_step < TIMES * metric.every:
                return None
            when = f"at step {newest:,}, though it should come every {plural(metric.every, 'step')}"
        elif self._rows[metric.at] >= TIMES:
            when = f"while {plural(self._rows[metric.at], 'row')} of its kind ({metric.at}) came"
        elif seconds >= within:
            when = f"within {format_duration(within)}"
        else:
            return None
        return f"{' or '.join(metric.reads)} was never reported {when}; {names_seen(seen, metric)}"

    def _why_no_more(self, coming: _Coming) -> str | None:
        """Its rows ended while others of its kind went on."""
        newest = self._newest[coming.metric.at]
        if coming.newest is None or not coming.interval or newest - coming.newest <= TIMES * coming.interval:
            return None
        return (
            f"{' or '.join(coming.metric.reads)} was reported until step {coming.newest:,} and no more, while others"
            f" are at step {newest:,}"
        )


@dataclass
class _Coming:
    metric: Declared
    newest: int | None = None
    interval: int = 0
    """The most steps between two of its rows, or what the card states."""

    def came(self, step: int) -> None:
        since = 0 if self.newest is None else step - self.newest
        self.interval = max(self.interval, since, self.metric.every or 0)
        self.newest = step if self.newest is None else max(step, self.newest)


def names_seen(seen: Seen, metric: Declared) -> str:
    """What was reported in its place, with the name that was probably meant."""
    names = sorted(set(seen.names) - set(metric.reads))
    if not names:
        return "no other name was seen either"
    shown = ", ".join(shortened(name, 40) for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN + seen.more
    return f"seen: {shown}{f' and {more} more' if more > 0 else ''}{did_you_mean(metric.reads[0], names)}"
