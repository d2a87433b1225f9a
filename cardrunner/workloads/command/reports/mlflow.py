"""MLflow's file store: ``mlruns/EXPERIMENT/RUN/metrics/NAME`` with lines ``milliseconds value step``.

MLflow 3 writes to a database unless its tracking URI begins with ``file:``; there is nothing to read then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cardrunner.workloads.command.reports.base import Garbage, Reading, Taking
from cardrunner.workloads.command.reports.files import Files
from cardrunner.workloads.command.reports.per_file import PerFile
from cardrunner.workloads.command.reports.tail import Known, Tail


def mlflow_store(folder: str, *, name: str, wanted: frozenset[str] = frozenset()) -> PerFile:
    """Every run of a store.

    Args:
        folder: the store, such as ``/data/mlruns``; absolute, a pattern without ``**``.
        name: of the source.
        wanted: see `Taking`.
    """
    garbage = Garbage()
    taking = Taking(name, garbage, wanted)
    files = Files(f"{folder.rstrip('/')}/*/*/metrics/**", garbage)
    above = len(Path(folder).parts) + 3
    return PerFile(name, files, lambda path: MetricFile(path, "/".join(path.parts[above:]), taking), garbage)


class MetricFile:
    """See `cardrunner.workloads.command.reports.per_file.FileReader`."""

    def __init__(self, path: Path, metric: str, taking: Taking) -> None:
        self._tail, self._name, self._taking = Tail(path, taking.garbage), metric, taking
        self._known = Known()

    def begin(self, size: int) -> None:
        for number, line in self._tail.lines(ended=True, most=size + 1):
            self._known.is_new(number, hash(line))

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        for number, line in self._tail.lines(ended=ended):
            if not self._known.is_new(number, hash(line)) or not line.strip():
                continue
            parts = line.decode(errors="replace").split()
            if len(parts) < 3:
                self._taking.garbage.add(line, f"{self._taking.where}, {self._name}")
                continue
            reading = self._taking.reading({"step": parts[2], self._name: parts[1]})
            if reading is not None:
                yield reading
