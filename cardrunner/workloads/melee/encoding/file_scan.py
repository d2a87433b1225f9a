"""One pass over every byte of an encoded file: the extremes and faults of every column, and the sha256.

Memory stays bounded by one chunk. Rows are read in the order of the file, so that a slow disk is read sequentially.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from cardrunner.errors import IntegrityError
from cardrunner.runs.files import explained
from cardrunner.runs.records import Record
from cardrunner.workloads.melee.encoding.encoded_file import EncodedFile
from cardrunner.workloads.melee.encoding.layout import (
    BINARY,
    CONTROLLER,
    FLOAT_BYTES,
    FLOAT_NAMES,
    FLOATS,
    INT_BYTES,
    INT_NAMES,
    INTS,
)
from cardrunner.workloads.melee.encoding.row_reader import bytes_of

VERSION: Final = "melee values 1"
"""Version of the checks; a change makes files be scanned again."""
CHUNK_ROWS: Final = 65_536
_UNIT_COLUMNS: Final = frozenset((*BINARY, *CONTROLLER))
Limits = tuple[float, float]


class ColumnScan(Record):
    """One column of one file; the extremes are over finite values, and +inf, -inf if it has none."""

    minimum: float
    maximum: float
    non_finite: int = 0
    faults: int = 0
    """Values outside the limits or not finite."""
    first_row: int = 0
    """Row of the first fault in the file."""
    first_value: float = 0.0


class FileScan(Record):
    """All columns of one file."""

    floats: tuple[ColumnScan, ...]
    ints: tuple[ColumnScan, ...]


@dataclass(frozen=True)
class Scanned:
    """The result of a pass."""

    scan: FileScan
    sha256: str | None


def float_limits() -> tuple[Limits, ...]:
    """The inclusive bounds of each float column."""
    unit, free = (0.0, 1.0), (-math.inf, math.inf)
    return tuple(unit if name.partition(".")[2] in _UNIT_COLUMNS else free for name in FLOAT_NAMES)


def int_limits(file: EncodedFile) -> tuple[Limits, ...]:
    """The inclusive bounds of each int column: its vocabulary."""
    return tuple((0.0, vocabulary - 1.0) for vocabulary in file.encoding.vocabularies)


def scan_file(
    file: EncodedFile,
    *,
    hashed: bool = False,
    chunk_rows: int = CHUNK_ROWS,
    progress: Callable[[int], object] | None = None,
) -> Scanned:
    """Read a whole file once.

    Args:
        hashed: compute the sha256 too.
        chunk_rows: rows held at a time.
        progress: called with the number of bytes of each chunk.

    Raises:
        EnvironmentFailed: it cannot be read.
        IntegrityError: it has been truncated since it was opened.
    """
    floats, ints = _Columns(len(FLOAT_NAMES), float_limits()), _Columns(len(INT_NAMES), int_limits(file))
    digest = hashlib.sha256() if hashed else None
    for columns, block in _chunks(file, (floats, ints), chunk_rows):
        if digest is not None:
            digest.update(bytes_of(block))
        if columns is floats:
            floats.read(block.view(torch.float32).view(-1, FLOATS))
        elif columns is ints:
            ints.read(block.view(torch.int64).view(-1, INTS))
        if progress is not None:
            progress(len(block))
    return Scanned(FileScan(floats=floats.found(), ints=ints.found()), digest.hexdigest() if digest else None)


def _chunks(
    file: EncodedFile, tables: tuple[_Columns, _Columns], chunk_rows: int
) -> Iterator[tuple[_Columns | None, Tensor]]:
    """The bytes of the file in order, uint8, each chunk with the table whose rows it holds."""
    widths = (FLOATS * FLOAT_BYTES, INTS * INT_BYTES)
    memory = torch.empty(chunk_rows * max(widths), dtype=torch.uint8)
    with explained(file.path, "read"):
        descriptor = os.open(file.path, os.O_RDONLY)
    try:
        for owner, first, beyond, step in _segments(file, tables, widths, chunk_rows):
            for position in range(first, beyond, step):
                part = memory[: min(step, beyond - position)]
                _read(file, descriptor, position, part)
                yield owner, part
    finally:
        os.close(descriptor)


def _segments(
    file: EncodedFile, tables: tuple[_Columns, _Columns], widths: tuple[int, int], chunk_rows: int
) -> Iterator[tuple[_Columns | None, int, int, int]]:
    """(table, first byte, byte beyond, bytes a chunk) over the whole file."""
    starts = (file.floats_at, file.ints_at)
    end = 0
    for start, width, table in sorted(zip(starts, widths, tables, strict=True), key=lambda found: found[0]):
        yield None, end, start, chunk_rows * width
        end = start + file.frames * width
        yield table, start, end, chunk_rows * width
    yield None, end, file.size, chunk_rows * max(widths)


def _read(file: EncodedFile, descriptor: int, position: int, part: Tensor) -> None:
    memory, done = bytes_of(part), 0
    with explained(file.path, "read"):
        while done < len(memory):
            count = os.preadv(descriptor, [memory[done:]], position + done)
            if not count:
                raise IntegrityError(f"{file.path}: ends at byte {position + done}; it was truncated while being read")
            done += count


@dataclass
class _Fault:
    row: int
    value: float
    count: int = 0


@dataclass(eq=False)
class _Columns:
    """Running facts of C columns of one table; ``limits`` are the inclusive bounds of each."""

    count: int
    limits: tuple[Limits, ...]
    rows: int = 0
    faults: dict[int, _Fault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.low = torch.full((self.count,), math.inf, dtype=torch.float64)
        self.high = torch.full((self.count,), -math.inf, dtype=torch.float64)
        self.non_finite = torch.zeros(self.count, dtype=torch.int64)
        bounds = torch.tensor(self.limits, dtype=torch.float64)
        self.lower, self.upper = bounds[:, 0], bounds[:, 1]

    def read(self, rows: Tensor) -> None:
        """Scan the next rows (n, C)."""
        low, high = (side.double() for side in torch.aminmax(rows, dim=0))
        finite = low.isfinite() & high.isfinite()  # any NaN or infinity shows in one of the two
        suspicious = ~finite | (low < self.lower) | (high > self.upper)
        for column in torch.nonzero(suspicious).flatten().tolist():
            low[column], high[column] = self._inspect(column, rows[:, column].double())
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        self.rows += len(rows)

    def found(self) -> tuple[ColumnScan, ...]:
        """One record per column."""
        sides = zip(self.low.tolist(), self.high.tolist(), self.non_finite.tolist(), strict=True)
        return tuple(self._column(number, *side) for number, side in enumerate(sides))

    def _column(self, number: int, low: float, high: float, non_finite: int) -> ColumnScan:
        fault = self.faults.get(number, _Fault(0, 0.0))
        return ColumnScan(
            minimum=low,
            maximum=high,
            non_finite=non_finite,
            faults=fault.count,
            first_row=fault.row,
            first_value=fault.value,
        )

    def _inspect(self, column: int, values: Tensor) -> tuple[float, float]:
        """Note the faults of one column's values; returns the minimum and maximum of the finite ones."""
        finite = values.isfinite()
        self.non_finite[column] += int((~finite).sum())
        bad = ~finite | (values < self.lower[column]) | (values > self.upper[column])
        where = torch.nonzero(bad).flatten()
        row = int(where[0])
        fault = self.faults.setdefault(column, _Fault(self.rows + row, float(values[row])))
        fault.count += len(where)
        good = values[finite]
        return (float(good.min()), float(good.max())) if len(good) else (math.inf, -math.inf)
