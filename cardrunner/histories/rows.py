"""The lines of a foreign history as rows that rules see."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.errors import UsageError
from cardrunner.histories.columns import Columns, HistoryLine
from cardrunner.kill_rules import Row
from cardrunner.specs import MetricNames

_DELIMITERS = ",;\t"


def csv_lines(path: Path, stream: TextIO) -> Iterator[HistoryLine]:
    """Every line below the head; separated by commas, semicolons or tabs.

    Raises:
        UsageError: a line has more or fewer cells than the head, a quote is never closed, or a column occurs twice.
    """
    first = next((line for line in stream if line.strip()), "")
    stream.seek(0)
    reader = csv.reader(stream, delimiter=max(_DELIMITERS, key=first.count), strict=True)
    try:
        head = [name.strip().removeprefix("\ufeff") for name in next(filter(any, reader), [])]
        for name in head:
            if name and head.count(name) > 1:
                raise UsageError(f'{path}:1: column "{name}" occurs twice')
        for cells in reader:
            if cells:
                _check_width(path, reader.line_num, cells, head)
                yield HistoryLine(str(path), reader.line_num, dict(zip(head, cells, strict=True)))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: this is not valid CSV: {error}") from None


def json_lines(path: Path, stream: TextIO) -> Iterator[HistoryLine]:
    """Every line as an object.

    Raises:
        UsageError: a line is not a JSON object.
    """
    for number, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        try:
            value = json.loads(text, object_pairs_hook=_each_once)
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}:{number}:{error.colno}: this is not JSON: {error.msg}") from None
        except _StandsTwice as error:
            raise UsageError(f'{path}:{number}: "{error}" occurs twice') from None
        except (RecursionError, ValueError):
            raise UsageError(f"{path}:{number}: this is not JSON that holds a row of a history") from None
        if not isinstance(value, dict):
            raise UsageError(f"{path}:{number}:1: a row of a history is an object; write one a line")
        yield HistoryLine(str(path), number, value)


class _StandsTwice(ValueError):
    """A key that occurs twice in an object."""


def _each_once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _StandsTwice(next(name for name in names if names.count(name) > 1)[:32])
    return found


def _check_width(path: Path, number: int, cells: Sequence[str], head: Sequence[str]) -> None:
    if len(cells) != len(head):
        raise UsageError(f"{path}:{number}: this line has {len(cells)} cells, the head has {len(head)} columns")


_LARGEST = 2.0**53


class EpochCounting(NamedTuple):
    """How a file counts epochs.

    Attributes:
        whole: an epoch has one number from beginning to end; otherwise numbers are fractions of epochs.
        from_zero: the first one is 0.
    """

    whole: bool
    from_zero: bool

    @classmethod
    def of(cls, lines: Sequence[HistoryLine], column: str | None) -> EpochCounting:
        """Infer the counting from all the numbers of a column."""
        found = [epoch for line in lines if (epoch := line.value(column)) is not None and math.isfinite(epoch)]
        whole = all(epoch.is_integer() for epoch in found)
        return cls(whole, whole and bool(found) and min(found) == 0)


@dataclass
class RowsOf:
    """Turns lines into rows, in order; a line with both kinds of metric gives a log point and a validation.

    Args:
        without: metrics and quantities that are left out; their lines still count as rows.
    """

    columns: Columns
    spec: WorkloadSpec
    counting: EpochCounting
    without: Collection[str] = ()
    _step: int = 0
    _progress: float = 0.0
    _validations: int = 0

    def rows(self, lines: Sequence[HistoryLine]) -> Iterator[Row]:
        """Every row.

        Raises:
            UsageError: a cell is not what its column is for, or steps or epochs go backwards.
        """
        for number, line in enumerate(lines, start=1):
            validation, training, quantities = (_values(line, columns) for columns in self.columns[3:])
            self._take_step(line, number)
            self._take_epoch(line, validates=bool(validation))
            if training or (quantities and not validation):
                yield self._row(line, "train", {**self._fit(training), **({} if validation else self._fit(quantities))})
            if validation:
                measured = MetricNames(self.spec.metrics).with_aliases(self._fit(validation))
                row = self._row(line, "validation", {**measured, **self._fit(quantities)})
                yield row._replace(epoch_means=self._fit(training))

    def _fit(self, values: Mapping[str, float]) -> Mapping[str, float]:
        return {metric: value for metric, value in values.items() if metric not in self.without}

    def _row(self, line: HistoryLine, kind: str, metrics: Mapping[str, float]) -> Row:
        epoch = max(1, math.ceil(self._progress))
        seconds = line.value(self.columns.seconds)
        known = "wall_time" in metrics or "wall_time" in self.without
        timed = {"wall_time": seconds} if seconds is not None and not known else {}
        found = {**metrics, **timed}
        if kind == "validation":
            return Row("validation", epoch, self._step, self._progress, seconds, found)
        begun = epoch - 1.0 if self.columns.epoch is not None and self.counting.whole else self._progress
        return Row("train", epoch, self._step, begun, seconds, found)

    def _take_step(self, line: HistoryLine, number: int) -> None:
        step = line.value(self.columns.step)
        if step is None:
            step = number if self.columns.step is None else self._step
        if not (0 <= step <= _LARGEST and step == int(step)):
            raise line.fault(self.columns.step, "a step is a whole number, from 0")
        if step < self._step:
            raise line.fault(self.columns.step, f"{step:.0f} comes after {self._step}; a history goes forward")
        self._step = int(step)

    def _take_epoch(self, line: HistoryLine, *, validates: bool) -> None:
        if self.columns.epoch is None:
            self._validations += validates
            self._progress = float(self._validations) if validates else self._validations + 0.5
            return
        epoch = line.value(self.columns.epoch)
        if epoch is None:
            return
        if not 0 <= epoch <= _LARGEST:
            raise line.fault(self.columns.epoch, "an epoch is a number, from 0")
        progress = epoch + self.counting.from_zero
        if progress < self._progress:
            raise line.fault(self.columns.epoch, f"{epoch:g} comes after a larger one; a history goes forward")
        self._progress = progress


def _values(line: HistoryLine, columns: Mapping[str, str]) -> dict[str, float]:
    return {metric: value for metric, column in columns.items() if (value := line.value(column)) is not None}
