"""Measures the kept best checkpoint again, by the card's own command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cardrunner.contracts import RunContext
from cardrunner.errors import EnvironmentFailed
from cardrunner.runs.agreement import largest_difference
from cardrunner.runs.jsonl import read_lines
from cardrunner.runs.records import CheckpointRecord
from cardrunner.workloads.command.beside import Beside, last_lines
from cardrunner.workloads.command.proof_sections import EvaluateSection
from cardrunner.workloads.command.reports.base import Source
from cardrunner.workloads.command.reports.patterns import EPOCH, STEP, searched_length
from cardrunner.workloads.command.reports.table import Places, sources
from cardrunner.workloads.command.reports.values import number
from cardrunner.workloads.command.sections import CommandTraining, ReportedMetric
from cardrunner.workloads.command.spec import training_of

FIELD: Final = "training.evaluate"
_MOST_NAMED: Final = 20
_LAST_LINES: Final = 10


def evaluated(ctx: RunContext, found: CheckpointRecord, content: Path) -> CheckpointRecord:
    """The record of a checkpoint with what the card's command measures of it; as it is for a card without one.

    Args:
        ctx: the run.
        found: the checkpoint, whose bytes are what they were.
        content: the kept file or folder.

    Raises:
        EnvironmentFailed: the command failed, or did not report a metric that it should measure.
    """
    training = training_of(ctx.card)
    if (evaluate := training.evaluate) is None:
        return found
    values = _Values(tuple((re.compile(text), searched_length(text)) for text in evaluate.stdout))
    beside = Beside(
        ctx=ctx,
        name="evaluate",
        place=FIELD,
        section=evaluate,
        out=ctx.folder.beside / "evaluate",
        checkpoint=content,
        consume=values.line,
    )
    beside.make_ready()
    places = _sources(training, beside)
    ended = beside.succeed()
    values.read(places)
    values.read_reports(beside.metrics)
    measured = {metric.key: values.of(metric) for metric in training.evaluated}
    if absent := [name for name, value in measured.items() if value is None]:
        seen = ", ".join(sorted(values.found)[:_MOST_NAMED]) or "no value"
        told = f"{FIELD} reported {seen}, and not {', '.join(absent)}"
        raise EnvironmentFailed(f"{told}; {last_lines(ended.tail[-_LAST_LINES:])}")
    known = {name: value for name, value in measured.items() if value is not None}
    return _compared(found, known, evaluate).model_copy(
        update={"command": ended.argv, "seconds": found.seconds + ended.seconds}
    )


def _compared(found: CheckpointRecord, measured: dict[str, float], evaluate: EvaluateSection) -> CheckpointRecord:
    recorded = {name: value for name, value in found.recorded.items() if name in measured}
    largest = largest_difference(recorded, measured)
    return found.model_copy(
        update={
            "recorded": recorded,
            "measured": measured,
            "largest_difference": largest,
            "tolerance": evaluate.tolerance,
            "agrees": largest <= evaluate.tolerance and recorded.keys() == measured.keys(),
            "reported": False,
        }
    )


def _sources(training: CommandTraining, beside: Beside) -> list[Source]:
    """The sources of the training's metrics, in the places of the command."""
    places = Places(beside.workdir, beside.log, beside.metrics, beside.filling.pattern)
    found = sources(training.report, places, wanted=training.reads)
    for source in found:
        source.begin()
    return found


@dataclass
class _Values:
    """The values that the command reports; the last one of each name counts."""

    patterns: tuple[tuple[re.Pattern[str], int], ...]
    found: dict[str, float] = field(default_factory=dict)

    def line(self, text: str) -> None:
        """Take a printed line."""
        for pattern, longest in self.patterns:
            match = pattern.search(text, 0, longest)
            self._take({} if match is None else match.groupdict())

    def read(self, places: Sequence[Source]) -> None:
        """Take everything that the sources of the training have."""
        for source in places:
            while readings := list(source.new(ended=True)):
                for reading in readings:
                    self._take(reading.values)

    def read_reports(self, metrics: Path) -> None:
        """Take what it reported itself, which needs no step here."""
        for entry in read_lines(metrics):
            values = entry.get("values")
            self._take(values if isinstance(values, dict) else {})

    def of(self, metric: ReportedMetric) -> float | None:
        """The value of a metric."""
        names = (*metric.read, metric.name, metric.key, metric.bare)
        return next((self.found[name] for name in names if name in self.found), None)

    def _take(self, cells: Mapping[str, object]) -> None:
        for name, value in cells.items():
            if name not in (STEP, EPOCH) and (read := number(value)) is not None:
                self.found[name] = read
