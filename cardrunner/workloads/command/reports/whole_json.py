"""JSON files that are written whole each time: dvclive's ``metrics.json`` and Hugging Face's ``trainer_state.json``."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cardrunner.workloads.command.reports.base import Garbage, Reading, Taking
from cardrunner.workloads.command.reports.csv_files import CsvFile
from cardrunner.workloads.command.reports.files import Files
from cardrunner.workloads.command.reports.json_lines import unfolded
from cardrunner.workloads.command.reports.per_file import FileReader, PerFile
from cardrunner.workloads.command.reports.tail import open_regular

LARGEST = 16 * 2**20
"""Bytes of a file that is read whole; a larger one is garbage. A trainer_state.json of 100,000 entries fits."""
_MOST_ENTRIES = 1_000_000

Entries = Callable[[Any], Iterable[Mapping[str, Any]]]


def trainer_state(pattern: str, *, name: str, wanted: frozenset[str] = frozenset()) -> PerFile:
    """The ``log_history`` of Hugging Face's Trainer, under its own names such as ``eval_loss``.

    Args:
        pattern: of the files, absolute: ``/run/out/checkpoint-*/trainer_state.json``, or of folders with them.
        name: of the source.
        wanted: see `Taking`.
    """
    garbage, seen = Garbage(), set[int]()
    files = Files(pattern, garbage, suffixes=("trainer_state.json",))
    taking = Taking(name, garbage, wanted)
    return PerFile(name, files, lambda path: WholeJson(path, taking, _log_history, seen), garbage)


def dvclive(folder: str, *, name: str, wanted: frozenset[str] = frozenset()) -> PerFile:
    """What dvclive writes: a table for each metric, and the newest values in one file.

    Args:
        folder: the one given to ``Live``, absolute.
        name: of the source.
        wanted: see `Taking`.
    """
    garbage, seen = Garbage(), set[int]()
    taking = Taking(name, garbage, wanted)
    tables = Path(folder) / "plots" / "metrics"
    escaped = glob.escape(folder)

    def open_file(path: Path) -> FileReader:
        if path.suffix == ".tsv":
            metric = path.relative_to(tables).with_suffix("").as_posix()
            return CsvFile(path, taking, renamed=partial(_named, metric))
        return WholeJson(path, taking, lambda found: [found], seen)

    files = Files(escaped, garbage, suffixes=("plots/metrics/**/*.tsv", "metrics.json"), last="metrics.json")
    return PerFile(name, files, open_file, garbage)


class WholeJson:
    """See `cardrunner.workloads.command.reports.per_file.FileReader`.

    Args:
        path: the file.
        taking: how an entry becomes a reading.
        entries: the entries of what the file holds.
        seen: fingerprints of entries that came before, in any file: each checkpoint repeats the history before it.
    """

    def __init__(self, path: Path, taking: Taking, entries: Entries, seen: set[int]) -> None:
        self._path, self._taking, self._entries, self._seen = path, taking, entries, seen
        self._state: tuple[int, int, int] | None = None

    def begin(self, size: int) -> None:  # noqa: ARG002 - it is written whole each time
        for _ in self._new_entries():
            pass

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        for entry in self._new_entries(final=ended):
            reading = self._taking.reading(unfolded(entry))
            if reading is not None:
                yield reading

    def _new_entries(self, *, final: bool = False) -> Iterator[Mapping[str, Any]]:
        data = self._changed()
        if data is None:
            return
        try:
            entries = list(self._entries(json.loads(data)))
        except (ValueError, RecursionError):
            if final:  # until then it may be half written
                self._taking.garbage.add(data[:200], str(self._path))
            self._state = None
            return
        for entry in entries:
            if not isinstance(entry, dict):
                self._taking.garbage.add(entry, str(self._path))
            elif (mark := hash(json.dumps(entry, sort_keys=True))) not in self._seen:
                if len(self._seen) < _MOST_ENTRIES:
                    self._seen.add(mark)
                yield entry

    def _changed(self) -> bytes | None:
        stream = open_regular(self._path, self._taking.garbage)
        if stream is None:
            return None
        with stream:
            found = os.fstat(stream.fileno())
            state = (found.st_ino, found.st_size, found.st_mtime_ns)
            if state == self._state:
                return None
            self._state = state
            if found.st_size > LARGEST:
                said = f"has {found.st_size:,} bytes; a file that is read whole may have {LARGEST:,}"
                self._taking.garbage.add(said, str(self._path))
                return None
            try:
                return os.pread(stream.fileno(), LARGEST, 0)
            except OSError as error:
                self._taking.garbage.add(f"cannot be read: {error.strerror}", str(self._path))
                return None


def _log_history(state: Any) -> Iterable[Mapping[str, Any]]:
    found = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(found, list):
        raise ValueError("no log_history")
    return found


def _named(metric: str, column: str) -> str:
    return column if column in ("step", "timestamp") else metric
