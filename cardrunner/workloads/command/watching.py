"""Reads what a running script reports, and judges every row as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cardrunner.common.clock import utc_now, utc_text
from cardrunner.contracts import RunContext
from cardrunner.errors import CardrunnerError
from cardrunner.runs.events import TrainingBegan, WarningGiven
from cardrunner.runs.heartbeat import Heartbeat
from cardrunner.runs.history import HistoryRow
from cardrunner.training.judging import Judge
from cardrunner.workloads.command.missing_metrics import MissingMetrics
from cardrunner.workloads.command.recording import RowRecorder
from cardrunner.workloads.command.reports.base import Reading, Source
from cardrunner.workloads.command.reports.rows import ReportedRow, Rows
from cardrunner.workloads.command.reports.script_lines import ScriptLines
from cardrunner.workloads.command.saving import Saves
from cardrunner.workloads.command.sections import CommandTraining
from cardrunner.workloads.command.state import ScriptState
from cardrunner.workloads.command.stated import StatedFacts
from cardrunner.workloads.command.steps import step_before


@dataclass
class Watcher:
    """Follows one start of the script.

    Args:
        ctx: the attempt.
        training: the card's section.
        sources: where metrics are read.
        state: what is known of the script.
        recorder: writes the history.
        judge: the card's rules.
        saves: follows the best value.
        after: the step that the script resumed from; None where nothing tells it, and for a beginning.
        resumed: whether it resumed.
        began: when the attempt began, on the clock of `time.monotonic`.
    """

    ctx: RunContext
    training: CommandTraining
    sources: list[Source]
    state: ScriptState
    recorder: RowRecorder
    judge: Judge
    saves: Saves
    after: int | None
    resumed: bool
    began: float
    ending: CardrunnerError | None = None
    """How the run has to end, by its rules or because a metric is missing."""
    decided_at: str | None = None
    """When that was recorded."""
    row_at: str | None = None
    """When the row that decided it was read; None for a metric that is missing."""
    started_at: float = field(default_factory=time.monotonic)
    heard_at: float = field(default_factory=time.monotonic)
    """When the last row came."""
    _proven: bool = False
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        declared = [metric.declared() for metric in self.training.metrics]
        read = self.training.length.read if self.training.length else None
        self.rows = Rows(declared, after=self.after, epoch_from=read)
        self.missing = MissingMetrics(self.ctx, declared, first_metric=self.training.first_metric)
        self.heartbeat = Heartbeat(self.ctx.folder.heartbeat, attempt=self.ctx.attempt)
        self.stated = StatedFacts.of(self.ctx.card)
        self._must_cut = self.resumed and self.after is None
        self.read_from: dict[str, int] = {}
        """How many bytes of each file were there before the script began."""
        for source in self.sources:
            self.read_from |= source.begin()

    @property
    def progress(self) -> int:
        """The newest step of a row, for the stop protocol."""
        return self.rows.newest

    def tick(self) -> None:
        """Read what came, write and judge its rows, and notice what is missing."""
        for row in self.rows.take(self._readings()):
            self._row(row)
        self._tell()
        self._look_for_missing()
        newest, reached = self.recorder.newest, self.recorder.distance.reached
        self.heartbeat.beat(
            epoch=newest.epoch if newest else 0,
            step=newest.step if newest else 0,
            examples=0 if reached is None else int(reached * 1_000),
            train_seconds=self.recorder.seconds,
        )

    def drain(self) -> None:
        """Read what is left once the script has ended."""
        while readings := list(self._readings(ended=True)):
            for row in self.rows.take(readings):
                self._row(row)
        for row in self.rows.finish():
            self._row(row)
        self._tell(ended=True)

    def _readings(self, *, ended: bool = False) -> Iterator[Reading]:
        for source in self.sources:
            yield from source.new(ended=ended)

    def _row(self, reported: ReportedRow) -> None:
        if self._must_cut:
            self._cut_before(reported.step)
        self.missing.row(reported)
        row = self.recorder.write(reported)
        if row is None:
            return
        self.heard_at = time.monotonic()
        self.state.update(began_from=None, died=(), first_epoch=self.recorder.distance.first)
        self._prove(row)
        self.saves.row(row)
        if row.kind == "validation":
            self.ctx.progress.note(row.headline(self.training.planned_epochs))
        found = self.judge.row(row)
        if found is not None and self.ending is None:
            self.row_at = utc_text(time.time() - (time.monotonic() - reported.read_at))
            self._decide(found)

    def _decide(self, ending: CardrunnerError) -> None:
        self.ending, self.decided_at = ending, utc_now()

    def _cut_before(self, first: int) -> None:
        """Drop the rows that a resumed script whose step was unknown reports again."""
        self._must_cut = False
        steps = [row.step for row in self.ctx.history.rows()]
        if (step := step_before(first, steps)) is not None:
            attempt = self.ctx.attempt
            self.ctx.history.truncate_after(
                step, note=lambda cut: self.ctx.ledger.append(cut.model_copy(update={"attempt": attempt}))
            )
            self.recorder.rewind()
            self.saves.rewind()
            self.judge = Judge(self.ctx)
            self.ending = self.ending or self.judge.resume(step, at_validation=True)

    def _prove(self, row: HistoryRow) -> None:
        """The first new row of a declared metric: the proof that the script trains."""
        if self._proven:
            return
        self._proven = True
        finite = ((name, value) for name, value in row.metrics.items() if math.isfinite(value))
        name, value = next(finite, (None, None))
        seconds = round(time.monotonic() - self.began, 3)
        self.ctx.ledger.append(
            TrainingBegan(
                attempt=self.ctx.attempt, epoch=row.epoch, step=row.step, loss=value, metric=name, seconds=seconds
            )
        )

    def _look_for_missing(self) -> None:
        found = self.missing.look(self.rows.seen, seconds=time.monotonic() - self.started_at)
        if found is not None and self.ending is None:
            self._decide(found)

    def _tell(self, *, ended: bool = False) -> None:
        """What people are told once: disagreeing sources, steps that go back, what cannot be read."""
        for notice in self.rows.notices:
            self.warn(f"training.report: {notice.sentence}")
        for source in self.sources:
            if (sentence := source.garbage.told(source.name)) is not None:
                self.warn(f"training.report: {sentence}")
        facts = self.facts
        if facts != self.state.record.facts and facts:
            self.state.update(facts=facts)
            self.ending = self.ending or self.stated.fault(facts)
        if (sentence := self.stated.missing(facts, trains=self._proven, ended=ended)) is not None:
            self.warn(sentence)

    @property
    def facts(self) -> dict[str, Any]:
        """What the script has said itself."""
        return next((dict(source.facts) for source in self.sources if isinstance(source, ScriptLines)), {})

    def warn(self, message: str) -> None:
        """Warn people, once for each message."""
        if message not in self._told:
            self._told.add(message)
            self.ctx.ledger.append(WarningGiven(attempt=self.ctx.attempt, message=message))
            self.ctx.progress.note(f"warning: {message}")
