"""Everything that checks look at, each file read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from cardrunner.card.load import LoadedCard, SpecResolver
from cardrunner.card.schema.card import Card
from cardrunner.common.clock import utc_seconds
from cardrunner.errors import IntegrityError
from cardrunner.runs.copies import sha256_at
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import AttemptEnded, AttemptStarted, HistoryCut, Overdue, Restarted, Resumed, parse
from cardrunner.runs.files import explained, read_regular
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import read_admitted, with_changes
from cardrunner.runs.history import HistoryRow, parse_row
from cardrunner.runs.lease import is_live, is_supervised
from cardrunner.runs.ledger import E
from cardrunner.runs.records import (
    CheckpointRecord,
    DownloadRecord,
    LaunchRecord,
    LoadRecord,
    Manifest,
    RemoteRun,
    TrainRecord,
    find_record,
    read_record,
)
from cardrunner.specs import MetricNames
from cardrunner.workspace import Workspace

T = TypeVar("T")
READ_AT_MOST = 1 << 30
"""Bytes of checkpoints and data that are read without ``--deep``."""
UNCLEAN = frozenset({"interrupted", "failed"})
"""States of an attempt whose worker may have ended between two files."""


class Line(NamedTuple, Generic[T]):
    """A readable line of a file. `number` counts from 1, torn and empty lines included."""

    number: int
    said: T


@dataclass(frozen=True)
class Evidence:
    """A run folder, and what is needed to read it. Properties raise IntegrityError for a file that cannot be read.

    Args:
        folder: the run.
        resolve: finds the torch-free half of the card's workload.
        worker_stages: the names of the stages that a worker runs, given the extra stages of a card.
        workspace: the workspace that the run is judged by; None where the folder is looked at alone.
        deep: read every byte of checkpoints and data, however large.
    """

    folder: RunFolder
    resolve: SpecResolver
    worker_stages: Callable[[Sequence[str]], Sequence[str]]
    workspace: Workspace | None = None
    deep: bool = False
    _digests: dict[tuple[int, int], str] = field(default_factory=dict, repr=False)

    @cached_property
    def live(self) -> bool:
        """Whether a process writes the folder now."""
        return is_live(self.folder) or is_supervised(self.folder)

    @cached_property
    def ledger_lines(self) -> tuple[Line[bytes], ...]:
        """The lines of the ledger as they stand."""
        return tuple(_lines(self.folder.ledger))

    @cached_property
    def lines(self) -> tuple[Line[Event], ...]:
        """The events of the ledger, without torn lines."""
        found = ((line.number, parse(line.said)) for line in self.ledger_lines)
        return tuple(Line(number, event) for number, event in found if event is not None)

    def of(self, kind: type[E], *kinds: type[E]) -> tuple[Line[E], ...]:
        """The events of these kinds, oldest first."""
        wanted = (kind, *kinds)
        return tuple(Line(number, event) for number, event in self.lines if isinstance(event, wanted))

    @cached_property
    def history_lines(self) -> tuple[Line[bytes], ...]:
        """The lines of the history as they stand."""
        return tuple(_lines(self.folder.history))

    @cached_property
    def rows(self) -> tuple[Line[HistoryRow], ...]:
        """The rows of the history, without other lines."""
        found = ((line.number, parse_row(line.said)) for line in self.history_lines)
        return tuple(Line(number, row) for number, row in found if row is not None)

    @cached_property
    def validations(self) -> tuple[Line[HistoryRow], ...]:
        """The validations."""
        return tuple(line for line in self.rows if line.said.kind == "validation")

    @cached_property
    def launch(self) -> LaunchRecord:
        """``launch.json``."""
        return read_record(self.folder.launch, LaunchRecord)

    @cached_property
    def loaded(self) -> LoadedCard:
        """The frozen card, whatever its digest is."""
        try:
            return read_admitted(self.folder, self.resolve, file=self.folder.card_yaml.name)
        except OSError as error:
            raise IntegrityError(f"{self.folder.card_yaml.name} cannot be read: {error.strerror}") from None

    @cached_property
    def card(self) -> Card:
        """The card with the values of its restarts in place."""
        changes = [line.said.changes for line in self.of(Restarted) if line.said.changes]
        return with_changes(self.loaded, changes)

    @cached_property
    def names(self) -> MetricNames:
        """The metrics of the workload and their aliases."""
        return MetricNames(self.loaded.spec.metrics)

    @cached_property
    def manifest(self) -> Manifest | None:
        """``checkpoints/manifest.json``; None where nothing was saved."""
        return find_record(self.folder.manifest, Manifest)

    @cached_property
    def load(self) -> LoadRecord | None:
        """``stages/load.json``."""
        return find_record(self.folder.record("load"), LoadRecord)

    @cached_property
    def train(self) -> TrainRecord | None:
        """``stages/train.json``."""
        return find_record(self.folder.record("train"), TrainRecord)

    @cached_property
    def checkpoint(self) -> CheckpointRecord | None:
        """``stages/checkpoint.json``."""
        return find_record(self.folder.record("checkpoint"), CheckpointRecord)

    @cached_property
    def download(self) -> DownloadRecord | None:
        """``stages/download.json``."""
        return find_record(self.folder.record("download"), DownloadRecord)

    @cached_property
    def remote(self) -> RemoteRun | None:
        """``elsewhere.json``; None for a run of this machine."""
        return find_record(self.folder.remote_run, RemoteRun)

    @cached_property
    def last_end(self) -> AttemptEnded | None:
        """How the newest attempt ended; None if it recorded no end."""
        turns = self.of(AttemptStarted, AttemptEnded)
        return turns[-1].said if turns and isinstance(turns[-1].said, AttemptEnded) else None

    @property
    def completed(self) -> bool:
        """Whether the run trained to its end."""
        return self.last_end is not None and self.last_end.state == "completed"

    @cached_property
    def settled(self) -> bool:
        """Whether the newest attempt ended by itself, so that its files belong together."""
        end, killed = self.last_end, {line.said.attempt for line in self.of(Overdue)}
        return not self.live and end is not None and end.state not in UNCLEAN and end.attempt not in killed

    @cached_property
    def crashed(self) -> bool:
        """Whether any attempt may have ended between two files."""
        ended = {line.said.attempt: line.said.state for line in self.of(AttemptEnded)}
        killed = {line.said.attempt for line in self.of(Overdue)}
        started = {line.said.attempt for line in self.of(AttemptStarted)}
        return any(number in killed or ended.get(number, "failed") in UNCLEAN for number in started)

    @cached_property
    def returns(self) -> tuple[Line[int], ...]:
        """Where training went back to an earlier step: the line of the ledger, and the step it went on from."""
        found: list[Line[int]] = []
        for number, event in self.lines:
            match event:
                case AttemptStarted():
                    found.append(Line(number, event.resumed_from.step if event.resumed_from else 0))
                case Resumed() | HistoryCut():  # the first new row of a script may show that it began earlier
                    found.append(Line(number, event.step))
                case Restarted():
                    found.append(Line(number, 0))  # until it says from where
        return tuple(found)

    def went_back(self, *, after: int, before: int) -> bool:
        """Whether training, after a line of the ledger, began again from before a step."""
        return any(line.number > after and line.said < before for line in self.returns)

    def sha256(self, path: Path) -> str:
        """The sha256 of a file or a folder's files, read once under all its names.

        Raises:
            EnvironmentFailed: it cannot be read.
        """
        with explained(path, "read"):
            found = path.stat()
        key = (found.st_dev, found.st_ino)
        if key not in self._digests:
            self._digests[key] = sha256_at(path)
        return self._digests[key]


def _lines(path: Path) -> Iterator[Line[bytes]]:
    if path.exists():
        with explained(path, "read"):
            data = read_regular(path)
        yield from (Line(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip())


def seconds_of(at: str) -> float | None:
    """A time in seconds since 1970; None for any other text."""
    with suppress(ValueError):
        return utc_seconds(at)
    return None


def json_of(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        IntegrityError: it is missing, or cannot be read.
    """
    try:
        return json.loads(read_regular(path))
    except FileNotFoundError:
        raise IntegrityError(f"{path.name} is missing") from None
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{path.name} cannot be read: {error}") from None
