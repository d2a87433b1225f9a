"""Read every value of encoded data once and report what a training run should know, in bounded memory.

Errors are values that would destroy a loss or an embedding lookup: non-finite floats, categories outside their
vocabulary, controller values outside [0, 1] (old replays have triggers of 3.8e22). A constant column is only a warning:
known good files have some.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from cardrunner.workloads.melee.encoded_data import EncodedData
from cardrunner.workloads.melee.layout import BINARY, CONTROLLER, FLOAT_NAMES, INT_NAMES

_UNIT_COLUMNS = frozenset((*BINARY, *CONTROLLER))


@dataclass(frozen=True)
class ColumnFacts:
    """What one column holds; minimum and maximum are over its finite values (NaN when it has none)."""

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
    """Something people should know about a column; an error closes the run."""

    severity: Literal["error", "warning"]
    column: str
    kind: Literal["non_finite", "vocabulary", "range", "constant"]
    message: str


@dataclass(frozen=True)
class ScanReport:
    """The facts of every column and what is wrong with them."""

    rows: int
    floats: tuple[ColumnFacts, ...]
    ints: tuple[ColumnFacts, ...]
    findings: tuple[DataFinding, ...]

    @property
    def errors(self) -> tuple[DataFinding, ...]:
        """Findings that close a run."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def constant_columns(self) -> tuple[str, ...]:
        """Names of columns that never change."""
        return tuple(column.name for column in (*self.floats, *self.ints) if column.constant)


def scan(data: EncodedData, *, chunk_rows: int = 65536, progress: Callable[[int], object] | None = None) -> ScanReport:
    """Stream over all rows once.

    Args:
        data: opened files.
        chunk_rows: rows held at a time (360 bytes each).
        progress: called with the number of rows of each chunk.
    """
    floats = _Columns(FLOAT_NAMES, tuple(_float_limit(name) for name in FLOAT_NAMES))
    ints = _Columns(INT_NAMES, tuple((0, vocabulary - 1) for vocabulary in data.encoding.vocabularies))
    for first, float_rows, int_rows in data.chunks(chunk_rows):
        floats.read(float_rows, first)
        ints.read(int_rows, first)
        if progress is not None:
            progress(len(float_rows))
    findings = (*floats.findings(data, _float_fault), *ints.findings(data, _vocabulary_fault))
    return ScanReport(data.frames, floats.facts(), ints.facts(), findings)


def _float_limit(name: str) -> tuple[float, float]:
    return (0.0, 1.0) if name.partition(".")[2] in _UNIT_COLUMNS else (-math.inf, math.inf)


@dataclass
class _Fault:
    row: int
    value: float
    count: int = 0


@dataclass
class _Columns:
    """Running facts of C columns of one tensor; ``limits`` are the inclusive bounds of each."""

    names: tuple[str, ...]
    limits: tuple[tuple[float, float], ...]
    faults: dict[int, _Fault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.low = torch.full((len(self.names),), math.inf, dtype=torch.float64)
        self.high = torch.full((len(self.names),), -math.inf, dtype=torch.float64)
        self.non_finite = torch.zeros(len(self.names), dtype=torch.int64)
        bounds = torch.tensor(self.limits, dtype=torch.float64)
        self.lower, self.upper = bounds[:, 0], bounds[:, 1]

    def read(self, rows: Tensor, first: int) -> None:
        """Take in rows (n, C) that begin at row ``first`` of the data."""
        low, high = (side.double() for side in torch.aminmax(rows, dim=0))
        finite = low.isfinite() & high.isfinite()  # a NaN or an infinity anywhere shows in one of the two
        suspicious = ~finite | (low < self.lower) | (high > self.upper)
        for column in torch.nonzero(suspicious).flatten().tolist():
            values = rows[:, column].double()
            low[column], high[column] = self._inspect(column, values, first)
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)

    def _inspect(self, column: int, values: Tensor, first: int) -> tuple[float, float]:
        """Note the faults of one column's values; returns the minimum and maximum of the finite ones."""
        finite = values.isfinite()
        self.non_finite[column] += int((~finite).sum())
        bad = ~finite | (values < self.lower[column]) | (values > self.upper[column])
        where = torch.nonzero(bad).flatten()
        row = int(where[0])
        fault = self.faults.setdefault(column, _Fault(first + row, float(values[row])))
        fault.count += len(where)
        good = values[finite]
        return (float(good.min()), float(good.max())) if len(good) else (math.inf, -math.inf)

    def facts(self) -> tuple[ColumnFacts, ...]:
        """One row of facts per column."""
        sides = zip(self.names, self.low.tolist(), self.high.tolist(), self.non_finite.tolist(), strict=True)
        return tuple(
            ColumnFacts(name, low if low <= high else math.nan, high if low <= high else math.nan, bad)
            for name, low, high, bad in sides
        )

    def findings(
        self, data: EncodedData, explain: Callable[[_Fault, tuple[float, float]], _Explained]
    ) -> list[DataFinding]:
        """Errors in column order, then the constant columns as warnings."""
        found: list[DataFinding] = []
        for column, fault in sorted(self.faults.items()):
            name, place = self.names[column], data.locate(fault.row)
            kind, text = explain(fault, self.limits[column])
            more = f" and {fault.count - 1} more" if fault.count > 1 else ""
            message = f"{place.path}: {name} {text} in game {place.game}, row {place.row}{more}"
            found.append(DataFinding("error", name, kind, message))
        for facts in self.facts():
            if facts.constant:
                text = f"{facts.name} is {facts.minimum:g} in every row"
                found.append(DataFinding("warning", facts.name, "constant", text))
        return found


_Explained = tuple[Literal["non_finite", "vocabulary", "range"], str]


def _float_fault(fault: _Fault, limits: tuple[float, float]) -> _Explained:
    if not math.isfinite(fault.value):
        return "non_finite", f"is {fault.value}"
    return "range", f"is {fault.value:g}, outside [{limits[0]:g}, {limits[1]:g}]"


def _vocabulary_fault(fault: _Fault, limits: tuple[float, float]) -> _Explained:
    return "vocabulary", f"is {fault.value:.0f}, outside its vocabulary 0..{limits[1]:.0f}"
