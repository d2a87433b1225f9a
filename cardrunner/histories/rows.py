"""The lines of a foreign history as rows that rules see."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cardrunner.histories.cells import Line
from cardrunner.histories.columns import Columns
from cardrunner.kill_rules import Row
from cardrunner.specs import MetricNames, WorkloadSpec

_LARGEST = 2.0**53


class EpochCounting(NamedTuple):
    """How a file counts epochs.

    Attributes:
        whole: an epoch has one number from its beginning to its end; else numbers are parts of epochs.
        from_zero: the first one is 0.
    """

    whole: bool
    from_zero: bool

    @classmethod
    def of(cls, lines: Sequence[Line], column: str | None) -> EpochCounting:
        """As all the numbers of a column tell."""
        found = [epoch for line in lines if (epoch := line.value(column)) is not None and math.isfinite(epoch)]
        whole = all(epoch.is_integer() for epoch in found)
        return cls(whole, whole and bool(found) and min(found) == 0)


@dataclass
class RowsOf:
    """Turns lines into rows, one after the other; with metrics of both kinds into a log point and a validation."""

    columns: Columns
    spec: WorkloadSpec
    counting: EpochCounting
    _step: int = 0
    _progress: float = 0.0
    _validations: int = 0

    def rows(self, lines: Sequence[Line]) -> Iterator[Row]:
        """Every row.

        Raises:
            UsageError: a cell is not what its column is for, or steps or epochs go backwards.
        """
        for number, line in enumerate(lines, start=1):
            validation, training, quantities = (_values(line, columns) for columns in self.columns[3:])
            self._take_step(line, number)
            self._take_epoch(line, validates=bool(validation))
            if training or (quantities and not validation):
                yield self._row(line, "train", {**training, **({} if validation else quantities)})
            if validation:
                measured = MetricNames(self.spec.metrics).with_aliases(validation)
                yield self._row(line, "validation", {**measured, **quantities})._replace(epoch_means=training)

    def _row(self, line: Line, kind: str, metrics: Mapping[str, float]) -> Row:
        epoch = max(1, math.ceil(self._progress))
        seconds = line.value(self.columns.seconds)
        timed = {"wall_time": seconds} if seconds is not None and "wall_time" not in metrics else {}
        found = {**metrics, **timed}
        if kind == "validation":
            return Row("validation", epoch, self._step, self._progress, seconds, found)
        begun = epoch - 1.0 if self.columns.epoch is not None and self.counting.whole else self._progress
        return Row("train", epoch, self._step, begun, seconds, found)

    def _take_step(self, line: Line, number: int) -> None:
        step = line.value(self.columns.step)
        if step is None:
            step = number if self.columns.step is None else self._step
        if not (0 <= step <= _LARGEST and step == int(step)):
            raise line.fault(self.columns.step, "a step is a whole number, from 0")
        if step < self._step:
            raise line.fault(self.columns.step, f"{step:.0f} comes after {self._step}; a history goes forward")
        self._step = int(step)

    def _take_epoch(self, line: Line, *, validates: bool) -> None:
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


def _values(line: Line, columns: Mapping[str, str]) -> dict[str, float]:
    return {metric: value for metric, column in columns.items() if (value := line.value(column)) is not None}
