"""Reading ranges of rows from encoded files into given memory, in sequence, without filling the page cache.

Reads avoid memory maps: with a map, a failing disk or a truncated file raises a signal that kills the process; here it
is an error with a message. Pages that were read are handed back to the system (``POSIX_FADV_DONTNEED``), so that a
pass over a file larger than memory does not evict other pages.

Shapes: R rows asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardrunner.errors import IntegrityError
from cardrunner.runs.files import explained
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.layout import FLOAT_BYTES, FLOATS, INT_BYTES, INTS

_ROW_BYTES = (FLOATS * FLOAT_BYTES, INTS * INT_BYTES)
_MOST = 1 << 30  # bytes of one call; the system's limit is 2 GiB

RowRange = tuple[int, int]
"""Rows [first, beyond) over all files; never across two files."""


@dataclass(frozen=True)
class _Region:
    """Consecutive bytes of a file."""

    file: int
    path: Path
    position: int
    size: int

    @property
    def place(self) -> tuple[int, int]:
        """The sort key of regions, so that a disk is read sequentially."""
        return self.file, self.position


class RowReader:
    """Reads rows of files opened as one; safe in several threads."""

    def __init__(self, data: EncodedData) -> None:
        self._files = data.files
        self._first_rows = data.first_rows

    def read(self, ranges: Sequence[RowRange], tables: Sequence[Tensor]) -> None:
        """Fill memory with the ranges, one after the other.

        Args:
            ranges: together R rows.
            tables: float32 (R, 56) and int64 (R, 17), contiguous, on the CPU.

        Raises:
            EnvironmentFailed: a file cannot be read.
            IntegrityError: a file has been truncated since it was opened.
        """
        pieces = [
            piece for which, table in enumerate(tables) for piece in _laid_out(self._regions(ranges, which), table)
        ]
        pieces.sort(key=lambda piece: piece[0].place)
        for path, group in groupby(pieces, key=lambda piece: piece[0].path):
            with explained(path, "read"):
                _read_file(path, group)

    def foresee(self, ranges: Sequence[RowRange]) -> None:
        """Ask the system to begin reading ranges, if it supports such hints; never raises."""
        if not hasattr(os, "posix_fadvise"):
            return
        regions = sorted((*self._regions(ranges, 0), *self._regions(ranges, 1)), key=lambda region: region.place)
        for path, group in groupby(regions, key=lambda region: region.path):
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except OSError:
                return
            try:
                for region in group:
                    os.posix_fadvise(descriptor, region.position, region.size, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)

    def _regions(self, ranges: Iterable[RowRange], table: int) -> Iterator[_Region]:
        """The regions of the ranges in one of the two tables: 0 the floats, 1 the ints."""
        width = _ROW_BYTES[table]
        for first, beyond in ranges:
            number = int(torch.searchsorted(self._first_rows, first, right=True)) - 1
            file, row = self._files[number], first - int(self._first_rows[number])
            start = (file.floats_at, file.ints_at)[table] + row * width
            yield _Region(number, file.path, start, (beyond - first) * width)


def bytes_of(table: Tensor) -> memoryview:
    """The memory of a contiguous tensor on the CPU."""
    flat: Any = table.view(-1).view(torch.uint8).numpy()
    return memoryview(flat)


def _laid_out(regions: Iterable[_Region], table: Tensor) -> Iterator[tuple[_Region, memoryview]]:
    """Each region with its part of a table's memory."""
    memory, used = bytes_of(table), 0
    for region in regions:
        yield region, memory[used : used + region.size]
        used += region.size


def _read_file(path: Path, pieces: Iterable[tuple[_Region, memoryview]]) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        for region, memory in pieces:
            _read_region(descriptor, path, region, memory)
    finally:
        os.close(descriptor)


def _read_region(descriptor: int, path: Path, region: _Region, memory: memoryview) -> None:
    done = 0
    while done < region.size:
        count = os.preadv(descriptor, [memory[done : done + _MOST]], region.position + done)
        if not count:
            raise IntegrityError(f"{path}: ends at byte {region.position + done}; it was truncated while in use")
        done += count
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, region.position, region.size, os.POSIX_FADV_DONTNEED)
