"""Everything a run folder recorded, read once: the only input of facts functions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cardrunner.card.load import LoadedCard, SpecResolver
from cardrunner.card.schema.card import Card
from cardrunner.contracts import MetricNames, MetricSpec, Stage
from cardrunner.errors import CardError, CardrunnerError, IntegrityError, UsageError
from cardrunner.kill_rules import Moment, Row, judge_all
from cardrunner.runs.attempts import Attempt, read_attempts
from cardrunner.runs.damage import Damage
from cardrunner.runs.event_model import Event
from cardrunner.runs.files import read_regular
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import read_admitted
from cardrunner.runs.history import History, HistoryRow, RuleRows, baselines_of
from cardrunner.runs.inspect import run_damage
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
from cardrunner.runs.status import Status, derive_status

R = TypeVar("R", bound=Record)
StageFinder = Callable[[Sequence[str]], tuple[Stage, ...]]
"""Takes the names of the plug-in stages that a card lists and returns all stages of the run; raises CardrunnerError for
a stage that cannot be loaded."""


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """A run as its folder records it; None means a record that was never written or cannot be read."""

    folder: RunFolder
    loaded: LoadedCard
    status: Status
    lease: LeaseBody | None
    """The last process that wrote the folder."""
    launch: LaunchRecord | None
    approvals: tuple[Mapping[str, Any], ...]
    checks: ChecksRecord | None
    """Results of the checklist's checks at the launch."""
    events: tuple[Event, ...]
    rows: tuple[HistoryRow, ...]
    stages: tuple[Stage, ...]
    """All stages of the run, in order."""
    unknown_stages: Mapping[str, str]
    """Plug-in stages that the card lists and this machine cannot load, each with the reason."""
    records: Mapping[str, Record]
    """The records of the stages, by stage name."""
    manifest: Manifest | None
    unreadable: tuple[str, ...]
    """Records that exist and cannot be read, with the reason."""
    damage: tuple[Damage, ...] = ()
    """What is torn, missing, changed or unsealed in the folder, apart from the page itself."""
    missing_sections: tuple[str, ...] = ()
    """Reasons why plug-in sections could not be made."""

    @property
    def load(self) -> LoadRecord | None:
        """The record of the load stage."""
        return self.left(LoadRecord)

    @property
    def train(self) -> TrainRecord | None:
        """The record of the train stage."""
        return self.left(TrainRecord)

    @property
    def checkpoint(self) -> CheckpointRecord | None:
        """The record of the checkpoint stage."""
        return self.left(CheckpointRecord)

    @property
    def download(self) -> DownloadRecord | None:
        """The record of the download stage."""
        return self.left(DownloadRecord)

    @property
    def demo(self) -> DemoRecord | None:
        """The record of the demo stage."""
        return self.left(DemoRecord)

    def left(self, kind: type[R]) -> R | None:
        """The record of this kind, or None."""
        return next((record for record in self.records.values() if isinstance(record, kind)), None)

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
        """Every attempt, oldest first."""
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
        """What the card's kill rules saw and decided, row by row."""
        baselines = baselines_of(self.card, self.loaded.spec.metrics)
        return tuple(judge_all(self.card.kill_thresholds, self.rule_rows, baselines=baselines))

    @property
    def final_row(self) -> HistoryRow | None:
        """The last validation."""
        return self.validation_rows[-1] if self.validation_rows else None

    @cached_property
    def best(self) -> BestRecord | None:
        """The best checkpoint: as the train stage recorded it, else as the card selects it from the history."""
        return (self.train.best if self.train else None) or self._selected()

    @cached_property
    def best_row(self) -> HistoryRow | None:
        """The validation of the best checkpoint."""
        if self.best is None and self.card.training.selection is None:
            return self.final_row
        return next((row for row in self.validation_rows if self.best and row.step == self.best.step), None)

    @property
    def reported(self) -> bool:
        """Whether a script reported the metrics, which this package then did not measure."""
        return not self.card.training.measured

    def place(self, epoch: int, step: int) -> str:
        """Where something was in the training: ``epoch 3``, or ``step 1,200`` of a script."""
        return f"step {step:,}" if self.reported else f"epoch {epoch}"

    @property
    def epochs_done(self) -> int:
        """Epochs with a validation."""
        return self.final_row.epoch if self.final_row else 0

    def spec(self, name: str) -> MetricSpec | None:
        """The metric of a name or alias."""
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

    def lacks(self, kind: type[Record]) -> str:
        """Why there is no record of this kind."""
        return self.absent(next(stage for stage in self.stages if stage.record is kind))

    def absent(self, of: Stage) -> str:
        """Why there is no record of a stage."""
        if (left_out := of.absence(self.card)) is not None:
            return left_out
        stage = of.name
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
        if (select := self.card.training.selection) is None:
            return None
        name = self.names.canonical(select.metric)
        scored = [
            (row.metrics[name], row) for row in self.validation_rows if math.isfinite(row.metrics.get(name, math.nan))
        ]
        if not scored:
            return None
        value, row = (min if select.mode == "min" else max)(scored, key=lambda pair: pair[0])
        return BestRecord(metric=name, mode=select.mode, value=value, epoch=row.epoch, step=row.step)


def read_run(folder: RunFolder, resolve: SpecResolver, stages: StageFinder) -> RecordedRun:
    """Read a run folder; a damaged record is named and treated as missing, so that the rest is still shown.

    Args:
        folder: the run.
        resolve: finds the torch-free half of the card's workload.
        stages: finds the stages of a run from the plug-in stages that its card lists.

    Raises:
        UsageError: there is no such run.
        IntegrityError: the frozen card is missing or is no longer a card.
        EnvironmentFailed: one of its kill rules came from a package that is not installed.
    """
    loaded = _card(folder, resolve)
    known, unknown = _stages(loaded.card, stages)
    reader = _FolderReader(folder)
    status = derive_status(folder)
    return RecordedRun(
        folder=folder,
        loaded=loaded,
        status=status,
        lease=read_lease(folder),
        launch=reader.record(folder.launch, LaunchRecord),
        approvals=reader.approvals(),
        checks=reader.record(folder.checks, ChecksRecord),
        events=tuple(Ledger(folder.ledger).events()),
        rows=tuple(History(folder.history).rows()),
        stages=known,
        unknown_stages=unknown,
        records=reader.records(known),
        manifest=reader.record(folder.manifest, Manifest),
        unreadable=tuple(reader.unreadable),
        damage=tuple(one for one in run_damage(folder, at_work=status.live) if not one.file.startswith("results")),
    )


def _stages(card: Card, find: StageFinder) -> tuple[tuple[Stage, ...], dict[str, str]]:
    """The stages of a run, and the reason for each that cannot be loaded here."""
    unknown: dict[str, str] = {}
    for name in card.extra_stages:
        try:
            find((name,))
        except CardrunnerError as error:
            unknown[name] = str(error)
    return find([name for name in card.extra_stages if name not in unknown]), unknown


def _card(folder: RunFolder, resolve: SpecResolver) -> LoadedCard:
    if not folder.root.is_dir():
        raise UsageError(f"there is no run {folder.name} in {folder.root.parent}; `cardrunner status` lists the runs")
    try:
        return read_admitted(folder, resolve, file=folder.card_yaml.name)
    except OSError as error:
        why = error.strerror
        raise IntegrityError(
            f"{folder.card_yaml} cannot be read ({why}); without it a run has no results card"
        ) from None
    except CardError as error:
        raise IntegrityError(f"the frozen card is not a card of this version of cardrunner:\n{error}") from None


class _FolderReader:
    """Reads records and keeps the reason for each that could not be read."""

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

    def records(self, stages: Iterable[Stage]) -> dict[str, Record]:
        found = {stage.name: self.record(self.folder.record(stage.name), stage.record) for stage in stages}
        return {name: record for name, record in found.items() if record is not None}

    def approvals(self) -> tuple[Mapping[str, Any], ...]:
        path = self.folder.approvals
        if not path.exists():
            return ()
        try:
            found = json.loads(read_regular(path))
        except (OSError, ValueError) as error:
            self._note(path, str(error))
            return ()
        entries: Sequence[object] = found if isinstance(found, list) else []
        return tuple(entry for entry in entries if isinstance(entry, dict))

    def _note(self, path: Path, why: str) -> None:
        name = path.relative_to(self.root).as_posix()
        self.unreadable.append(f"{name}: {why.replace(str(path), name)}")
