"""A report on the values of encoded data, from one pass over each file.

Errors are values that would destroy a loss or an embedding lookup: non-finite floats, categories outside their
vocabulary, controller values outside [0, 1] (old replays have triggers of 3.8e22). A constant column is only a warning:
known good files have some.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.file_scan import (
    CHUNK_ROWS,
    ColumnScan,
    FileScan,
    Limits,
    float_limits,
    int_limits,
    scan_file,
)
from cardrunner.workloads.melee.encoding.layout import FLOAT_NAMES, INT_NAMES


@dataclass(frozen=True)
class ColumnFacts:
    """Facts of one column; minimum and maximum are over its finite values (NaN without any)."""

    name: str
    minimum: float
    maximum: float
    non_finite: int

    @property
    def constant(self) -> bool:
        """Every value is the same."""
        return self.minimum == self.maximum and not self.non_finite


@dataclass(frozen=True)
class DataFinding:
    """A remark on a column; an error stops the run."""

    severity: Literal["error", "warning"]
    column: str
    kind: Literal["non_finite", "vocabulary", "range", "constant"]
    message: str


@dataclass(frozen=True)
class ScanReport:
    """The facts of every column, and the findings."""

    rows: int
    floats: tuple[ColumnFacts, ...]
    ints: tuple[ColumnFacts, ...]
    findings: tuple[DataFinding, ...]

    @property
    def errors(self) -> tuple[DataFinding, ...]:
        """Findings that stop a run."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def constant_columns(self) -> tuple[str, ...]:
        """Names of columns that never change."""
        return tuple(column.name for column in (*self.floats, *self.ints) if column.constant)


def scan(
    data: EncodedData, *, chunk_rows: int = CHUNK_ROWS, progress: Callable[[int], object] | None = None
) -> ScanReport:
    """Read all files now and report.

    Args:
        data: opened files.
        chunk_rows: rows held at a time (at most 224 bytes each).
        progress: called with the number of bytes of each chunk.
    """
    return report(data, [scan_file(file, chunk_rows=chunk_rows, progress=progress).scan for file in data.files])


def report(data: EncodedData, scans: Sequence[FileScan]) -> ScanReport:
    """Put the scans of all files together, in their order."""
    float_columns = [tuple(found.floats[number] for found in scans) for number in range(len(FLOAT_NAMES))]
    int_columns = [tuple(found.ints[number] for found in scans) for number in range(len(INT_NAMES))]
    floats = tuple(_facts(name, parts) for name, parts in zip(FLOAT_NAMES, float_columns, strict=True))
    ints = tuple(_facts(name, parts) for name, parts in zip(INT_NAMES, int_columns, strict=True))
    findings = (
        *_faults(data, FLOAT_NAMES, float_columns, float_limits(), _float_fault),
        *_constant(floats),
        *_faults(data, INT_NAMES, int_columns, int_limits(data.files[0]), _vocabulary_fault),
        *_constant(ints),
    )
    return ScanReport(data.frames, floats, ints, findings)


def _facts(name: str, parts: Sequence[ColumnScan]) -> ColumnFacts:
    low, high = min(part.minimum for part in parts), max(part.maximum for part in parts)
    bad = sum(part.non_finite for part in parts)
    return ColumnFacts(name, low if low <= high else math.nan, high if low <= high else math.nan, bad)


_Explained = tuple[Literal["non_finite", "vocabulary", "range"], str]


def _faults(
    data: EncodedData,
    names: Sequence[str],
    columns: Sequence[Sequence[ColumnScan]],
    limits: Sequence[Limits],
    explain: Callable[[float, Limits], _Explained],
) -> Iterator[DataFinding]:
    """An error for each column with a fault; the first one is placed, the others are counted."""
    for name, parts, bounds in zip(names, columns, limits, strict=True):
        count = sum(part.faults for part in parts)
        if not count:
            continue
        number, first = next((number, part) for number, part in enumerate(parts) if part.faults)
        place = data.locate(int(data.first_rows[number]) + first.first_row)
        kind, text = explain(first.first_value, bounds)
        more = f" and {count - 1} more" if count > 1 else ""
        message = f"{place.path}: {name} {text} in game {place.game}, row {place.row}{more}"
        yield DataFinding("error", name, kind, message)


def _constant(columns: Sequence[ColumnFacts]) -> Iterator[DataFinding]:
    for facts in columns:
        if facts.constant:
            text = f"{facts.name} is {facts.minimum:g} in every row"
            yield DataFinding("warning", facts.name, "constant", text)


def _float_fault(value: float, limits: Limits) -> _Explained:
    if not math.isfinite(value):
        return "non_finite", f"is {value}"
    return "range", f"is {value:g}, outside [{limits[0]:g}, {limits[1]:g}]"


def _vocabulary_fault(value: float, limits: Limits) -> _Explained:
    return "vocabulary", f"is {value:.0f}, outside its vocabulary 0..{limits[1]:.0f}"
