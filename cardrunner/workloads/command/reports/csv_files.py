"""CSV and TSV with a header, appended to or rewritten with more columns.

Lightning's CSVLogger rewrites its file when a metric appears: each row is known by its number and its cells, so that
only new rows come, whatever columns were added.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cardrunner.workloads.command.reports.base import Garbage, Reading, Taking, shortened
from cardrunner.workloads.command.reports.files import Files
from cardrunner.workloads.command.reports.per_file import PerFile
from cardrunner.workloads.command.reports.tail import Known, Tail


def csv_files(pattern: str, *, name: str, wanted: frozenset[str] = frozenset(), step: str | None = None) -> PerFile:
    """The files of a pattern, absolute; see `Taking` for `wanted` and `step`."""
    garbage = Garbage()
    taking = Taking(name, garbage, wanted, step)
    return PerFile(name, Files(pattern, garbage), lambda path: CsvFile(path, taking), garbage)


class CsvFile:
    """See `cardrunner.workloads.command.reports.per_file.FileReader`.

    Args:
        path: the file.
        taking: how a row becomes a reading.
        renamed: the name of a column's value, where it is not that of the column.
    """

    def __init__(self, path: Path, taking: Taking, *, renamed: Callable[[str], str] = str) -> None:
        self._tail, self._taking, self._renamed = Tail(path, taking.garbage), taking, renamed
        self._known = Known()
        self._header: list[str] = []
        self._delimiter = ","

    def begin(self, size: int) -> None:
        for _ in self._rows(ended=True, most=size + 1):
            pass

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        for cells in self._rows(ended=ended):
            reading = self._taking.reading(cells)
            if reading is not None:
                yield reading

    def _rows(self, *, ended: bool, **bounds: int) -> Iterator[Mapping[str, str]]:
        """The cells of each new row by column, without empty ones."""
        for number, line in self._tail.lines(ended=ended, **bounds):
            if number == 0:
                self._header = []
            if not (text := line.decode(errors="replace").strip("\r\n\0")):
                continue
            if not self._header:
                self._begin_table(text)
                continue
            found = self._split(text)
            if found == self._header:  # written again by a script that began again
                continue
            if len(found) != len(self._header):
                said = f"{len(found)} cells below {len(self._header)} columns: {text[:80]}"
                self._taking.garbage.add(said, self._taking.where)
                continue
            cells = {name: cell for name, cell in zip(self._header, found, strict=True) if cell}
            if self._known.is_new(number, hash(frozenset(cells.items()))):
                yield cells

    def _begin_table(self, text: str) -> None:
        self._delimiter = max(",\t;", key=text.count)
        self._header = [self._renamed(name.strip()) for name in self._split(text.removeprefix("\ufeff"))]
        if self._taking.step_name(dict.fromkeys(self._header, "0")) is None:
            said = f"it has no column {self._taking.step or 'step'}; its first line is {shortened(text)}"
            self._taking.garbage.add(said, self._taking.where)

    def _split(self, text: str) -> list[str]:
        if '"' not in text:
            return text.split(self._delimiter)
        try:
            return next(csv.reader([text], delimiter=self._delimiter))
        except (csv.Error, StopIteration):
            return []
