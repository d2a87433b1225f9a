"""Files with metrics that a script writes without the card naming them, each read by the reader of its format."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardrunner.workloads.command.reports.base import STEP_NAMES, Source
from cardrunner.workloads.command.reports.csv_files import csv_files
from cardrunner.workloads.command.reports.json_lines import json_lines
from cardrunner.workloads.command.reports.mlflow import mlflow_store
from cardrunner.workloads.command.reports.tensorboard import tensorboard
from cardrunner.workloads.command.reports.whole_json import dvclive, trainer_state

MOST_ENTRIES: Final = 20_000
"""Of the folders that one search looks at."""
_MOST_SOURCES: Final = 40
_STEP_COLUMN: Final = re.compile(r"(?:^|[_/ ])(?:steps?|iter(?:ation)?s?|n_iter|epochs?|round)$", re.IGNORECASE)
_FIRST_LINE: Final = 4_096


@dataclass(frozen=True)
class Place:
    """Something to read metrics from.

    Args:
        kind: the key of `training.report`.
        at: its path as a card has it, with ``*`` for what may be another number.
        pattern: the same as an absolute pattern.
        step: the column or key that is the step, where it is another than the usual ones.
    """

    kind: str
    at: str
    pattern: str
    step: str | None = None

    @property
    def name(self) -> str:
        """The source in readings."""
        return f"{self.kind} {self.at}"

    def source(self) -> Source:
        """A reader of all that is there."""
        return _SOURCES[self.kind](self)


_SOURCES: Final[dict[str, Callable[[Place], Source]]] = {
    "tensorboard": lambda place: tensorboard(place.pattern, name=place.name),
    "dvclive": lambda place: dvclive(place.pattern, name=place.name),
    "mlflow": lambda place: mlflow_store(place.pattern, name=place.name),
    "trainer_state": lambda place: trainer_state(place.pattern, name=place.name),
    "csv": lambda place: csv_files(place.pattern, name=place.name, step=place.step),
    "jsonl": lambda place: json_lines(place.pattern, name=place.name, step=place.step),
}


@dataclass
class FoundFiles:
    """Looks for files with metrics under the folders that a script writes to.

    Args:
        roots: folder -> how a card calls it: ``{out}``, or empty for the folder that the script runs in.
        left_out: files that were there before.
    """

    roots: dict[Path, str]
    left_out: frozenset[Path] = frozenset()
    places: dict[str, Place] = field(default_factory=dict)
    incomplete: bool = False
    """A search ended before it had seen everything."""
    _sources: dict[str, Source] = field(default_factory=dict)

    def search(self) -> None:
        """Look for places that were not found before."""
        for root, called in self.roots.items():
            for path in self._files(root):
                place = _place_of(path, root, called)
                if place is not None and place.name not in self.places and len(self.places) < _MOST_SOURCES:
                    self.places[place.name] = place
                    self._sources[place.name] = place.source()

    def sources(self) -> list[Source]:
        """The readers of what was found."""
        return list(self._sources.values())

    def _files(self, root: Path) -> Iterator[Path]:
        seen = 0
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
            for name in sorted(names):
                seen += 1
                if seen > MOST_ENTRIES:
                    self.incomplete = True
                    return
                path = Path(folder) / name
                if path not in self.left_out and not path.is_symlink():
                    yield path


def _place_of(path: Path, root: Path, called: str) -> Place | None:
    """Where a file belongs to; None for one that holds no metrics."""
    parts = path.relative_to(root).parts
    if "tfevents" in path.name:
        return _place("tensorboard", root, called, parts[:-1])
    if "plots" in parts[:-2] and parts[parts.index("plots") + 1] == "metrics":
        return _place("dvclive", root, called, parts[: parts.index("plots")])
    if "metrics" in parts[3:-1]:  # STORE/EXPERIMENT/RUN/metrics/NAME
        at = parts.index("metrics", 3)
        return _place("mlflow", root, called, parts[: at - 2])
    if path.name == "trainer_state.json":
        return _place("trainer_state", root, called, parts[:-1])
    if path.suffix in (".csv", ".tsv"):
        return _table("csv", path, root, called, _columns(path))
    if path.suffix in (".jsonl", ".ndjson"):
        return _table("jsonl", path, root, called, _keys(path))
    return None


def _place(kind: str, root: Path, called: str, parts: tuple[str, ...], step: str | None = None) -> Place | None:
    general = [_general(part) for part in parts]
    at = "/".join(filter(None, (called, *general)))
    return Place(kind, at or ".", "/".join((glob.escape(str(root)), *general)), step)


def _general(part: str) -> str:
    """A name with ``*`` for the number at its end: version_0, checkpoint-500."""
    return re.sub(r"(?<=[_-])\d+(?=$|\.\w+$)", "*", part)


def _table(kind: str, path: Path, root: Path, called: str, names: list[str]) -> Place | None:
    step = None
    if not set(STEP_NAMES) & set(names):
        step = next((name for name in names if _STEP_COLUMN.search(name)), None)
        if step is None:
            return None
    return _place(kind, root, called, path.relative_to(root).parts, step)


def _columns(path: Path) -> list[str]:
    line = _first_line(path)
    return [cell.strip().strip('"') for cell in line.split(max(",\t;", key=line.count))]


def _keys(path: Path) -> list[str]:
    return re.findall(r'"([^"]+)"\s*:', _first_line(path))


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_FIRST_LINE).partition(b"\n")[0].decode(errors="replace")
    except OSError:
        return ""
