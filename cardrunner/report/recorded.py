"""Everything a run folder recorded, read once; all that facts functions see."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from cardrunner.card.digest import card_digest
from cardrunner.card.load import LoadedCard, SpecResolver, card_model, load_card_bytes
from cardrunner.card.reading.document import Fault
from cardrunner.card.reading.extends import from_bytes, read_chain
from cardrunner.card.reading.reader import read_document
from cardrunner.card.schema.card import Card
from cardrunner.contracts import MetricNames, MetricSpec
from cardrunner.errors import CardError, IntegrityError, UsageError
from cardrunner.kill_rules import Moment, Row, judge_all
from cardrunner.runs.attempts import Attempt, read_attempts
from cardrunner.runs.event_model import Event
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import read_sources
from cardrunner.runs.history import History, HistoryRow
from cardrunner.runs.lease import LeaseBody, read_lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import (
    BestRecord,
    CheckpointRecord,
    ChecksRecord,
    DemoRecord,
    DownloadRecord,
    LaunchRecord,
    LoadRecord,
    Manifest,
    Record,
    TrainRecord,
    find_record,
)
from cardrunner.runs.rule_rows import RuleRows, baselines_of
from cardrunner.runs.status import Status, derive_status

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A run as its folder has it; None stands for a record that was never written or cannot be read."""

    folder: RunFolder
    loaded: LoadedCard
    status: Status
    lease: LeaseBody | None
    """Who wrote last."""
    launch: LaunchRecord | None
    approvals: tuple[Mapping[str, Any], ...]
    checks: ChecksRecord | None
    """What the checks of the checklist said at the launch."""
    events: tuple[Event, ...]
    rows: tuple[HistoryRow, ...]
    load: LoadRecord | None
    train: TrainRecord | None
    checkpoint: CheckpointRecord | None
    download: DownloadRecord | None
    demo: DemoRecord | None
    manifest: Manifest | None
    unreadable: tuple[str, ...]
    """Records that are there and cannot be read, with why."""

    @property
    def card(self) -> Card:
        """The card that was launched."""
        return self.loaded.card

    @cached_property
    def names(self) -> MetricNames:
        """The metrics of the workload and their aliases."""
        return MetricNames(self.loaded.spec.metrics)

    @cached_property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every life of the worker, oldest first."""
        return read_attempts(self.events, rows=self.rows, lease=self.lease)

    @cached_property
    def validation_rows(self) -> tuple[HistoryRow, ...]:
        """The validations, oldest first."""
        return tuple(row for row in self.rows if row.kind == "validation")

    @cached_property
    def rule_rows(self) -> tuple[Row, ...]:
        """Every row as kill rules see it."""
        return tuple(RuleRows(self.loaded.spec.metrics).rows(self.rows))

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """What the card's kill rules make of the history, row by row."""
        baselines = baselines_of(self.card, self.loaded.spec.metrics)
        return tuple(judge_all(self.card.kill_thresholds, self.rule_rows, baselines=baselines))

    @property
    def final_row(self) -> HistoryRow | None:
        """The last validation."""
        return self.validation_rows[-1] if self.validation_rows else None

    @cached_property
    def best(self) -> BestRecord | None:
        """The best checkpoint: as the train stage recorded it, else what the card's selection makes of the history."""
        return (self.train.best if self.train else None) or self._selected()

    @cached_property
    def best_row(self) -> HistoryRow | None:
        """The validation of the best checkpoint."""
        return next((row for row in self.validation_rows if self.best and row.step == self.best.step), None)

    @property
    def epochs_done(self) -> int:
        """Epochs with a validation."""
        return self.final_row.epoch if self.final_row else 0

    def spec(self, name: str) -> MetricSpec | None:
        """The metric behind a name that people write."""
        return self.names.spec(name)

    def value(self, name: str, row: HistoryRow | None) -> float | None:
        """The example-weighted value of a metric in a row; None when it was not measured."""
        return row.metrics.get(self.names.canonical(name)) if row else None

    @cached_property
    def trivial(self) -> Mapping[str, Mapping[str, float]]:
        """Trivial baseline -> canonical validation metric -> value."""
        recorded = self.train.baselines if self.train else {}
        return {
            name: {self._validation_name(key): value for key, value in scores.items()}
            for name, scores in recorded.items()
        }

    def absent(self, stage: str) -> str:
        """Why a stage left no record."""
        if any(text.startswith(f"stages/{stage}.json") for text in self.unreadable):
            return f"not readable: stages/{stage}.json is damaged"
        if self.status.live:
            return f"not recorded yet: the run has not finished the {stage} stage"
        last = next((run for attempt in self.attempts[::-1] for run in attempt.stages if run.name == stage), None)
        if last is not None:
            return (
                f"not recorded: the {stage} stage ended {'without a record' if last.ok else 'before it left a record'}"
            )
        if self.status.state == "completed":
            return f"not recorded: the {stage} stage has not run"
        return f"not recorded: the run ended before the {stage} stage"

    def _validation_name(self, key: str) -> str:
        return self.names.canonical(key if self.names.spec(key) else f"val_{key}")

    def _selected(self) -> BestRecord | None:
        select = self.card.training.select
        name = self.names.canonical(select.metric)
        scored = [
            (row.metrics[name], row) for row in self.validation_rows if math.isfinite(row.metrics.get(name, math.nan))
        ]
        if not scored:
            return None
        value, row = (min if select.mode == "min" else max)(scored, key=lambda pair: pair[0])
        return BestRecord(metric=name, mode=select.mode, value=value, epoch=row.epoch, step=row.step)


def read_run(folder: RunFolder, resolve: SpecResolver) -> Recorded:
    """Read a run folder; a record that is damaged is named and treated as missing, so that the rest is still shown.

    Raises:
        UsageError: there is no such run.
        IntegrityError: the frozen card is missing or is not a card any more.
    """
    loaded = _card(folder, resolve)
    reader = _Reader(folder)
    return Recorded(
        folder=folder,
        loaded=loaded,
        status=derive_status(folder),
        lease=read_lease(folder),
        launch=reader.record(folder.launch, LaunchRecord),
        approvals=reader.approvals(),
        checks=reader.record(folder.checks, ChecksRecord),
        events=tuple(Ledger(folder.ledger).events()),
        rows=tuple(History(folder.history).rows()),
        load=reader.record(folder.record("load"), LoadRecord),
        train=reader.record(folder.record("train"), TrainRecord),
        checkpoint=reader.record(folder.record("checkpoint"), CheckpointRecord),
        download=reader.record(folder.record("download"), DownloadRecord),
        demo=reader.record(folder.record("demo"), DemoRecord),
        manifest=reader.record(folder.manifest, Manifest),
        unreadable=tuple(reader.unreadable),
    )


def _card(folder: RunFolder, resolve: SpecResolver) -> LoadedCard:
    if not folder.root.is_dir():
        raise UsageError(f"there is no run {folder.name} in {folder.root.parent}; `cardrunner status` lists the runs")
    name = folder.card_yaml.name
    try:
        data, sources = folder.card_yaml.read_bytes(), read_sources(folder)
        return load_card_bytes(data, file=name, resolve=resolve, sources=sources)
    except OSError as error:
        why = error.strerror
        raise IntegrityError(
            f"{folder.card_yaml} cannot be read ({why}); without it a run has no results card"
        ) from None
    except CardError as error:
        return _card_as_it_was(data, sources, error, resolve)


def _card_as_it_was(data: bytes, sources: Sequence[bytes], found: CardError, resolve: SpecResolver) -> LoadedCard:
    """A card with faults that its launch did not know, as when a workload's checks have grown; they become warnings.

    Raises:
        IntegrityError: it is no card of its workload any more.
    """
    try:
        chain = read_chain(read_document(data, file="card.yaml"), from_bytes(sources))
        value = chain.effective.value()
        spec = resolve(str(value["workload"]))
        card = card_model(spec).model_validate(value)
    except (CardError, UsageError, KeyError, ValidationError):
        raise IntegrityError(f"the frozen card is not a card of this version of cardrunner:\n{found}") from None
    faults = tuple(fault for fault in found.faults if isinstance(fault, Fault))
    return LoadedCard(Path(chain.own.file), chain.own, card, spec, card_digest(card), faults, chain.bases)


class _Reader:
    """Reads records and remembers which could not be read."""

    def __init__(self, folder: RunFolder) -> None:
        self.root = folder.root
        self.folder = folder
        self.unreadable: list[str] = []

    def record(self, path: Path, kind: type[R]) -> R | None:
        try:
            return find_record(path, kind)
        except IntegrityError as error:
            self._note(path, str(error))
            return None

    def approvals(self) -> tuple[Mapping[str, Any], ...]:
        path = self.folder.approvals
        if not path.exists():
            return ()
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            self._note(path, str(error))
            return ()
        entries: Sequence[object] = found if isinstance(found, list) else []
        return tuple(entry for entry in entries if isinstance(entry, dict))

    def _note(self, path: Path, why: str) -> None:
        name = path.relative_to(self.root).as_posix()
        self.unreadable.append(f"{name}: {why.replace(str(path), name)}")
