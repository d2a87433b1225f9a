"""The metric rows of a run: each step and each epoch once, wall-clock figures apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from cardrunner.card.schema.card import Card
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.kill_rules import Baselines, Row, Rule
from cardrunner.runs.events import HistoryCut, RuleFired
from cardrunner.runs.files import write_bytes
from cardrunner.runs.jsonl import append_line, lines_of, parse_line, read_lines
from cardrunner.runs.lines import LinesAnchor, seal_of
from cardrunner.runs.records import Record
from cardrunner.specs import MetricNames, MetricSpec


class Clock(Record):
    """The figures of a row that never repeat exactly."""

    at: str
    attempt: int | None = None
    """The attempt that wrote the row."""
    seconds: float
    """Since the attempt began."""
    train_seconds: float = 0.0
    """Spent training since the attempt began."""
    wait_seconds: float = 0.0
    """Part of the training time spent waiting for batches."""
    examples_per_second: float | None = None
    """Examples per second since the row before."""
    epoch_seconds: float | None = None
    """The whole epoch with its validation; on validation rows, unless the attempt began inside the epoch."""
    trained_seconds: float | None = None
    """Spent training in all attempts; what a resume trained again counts once."""
    wait_share: float | None = None
    """Of the training time since the row before, the part that went into waiting for batches."""
    total_seconds: float | None = None
    """Over all attempts so far, from the start of each."""
    cost_usd: float | None = None
    """Cost of `total_seconds` at the card's price; None if the price is unknown."""
    projected_seconds: float | None = None
    """What `total_seconds` will be when the training is done, at the pace of this attempt so far."""
    projected_cost_usd: float | None = None

    def outlook(self) -> str:
        """Time and money so far and projected, in a few words: ``$0.12 of $0.52, 41 min of 2.5h``; empty at first."""
        money = _of(self.cost_usd, self.projected_cost_usd, format_dollars) if self.cost_usd else ""
        return ", ".join(filter(None, (money, _of(self.total_seconds, self.projected_seconds, format_duration))))


class HistoryRow(Record):
    """One row of ``history.jsonl``."""

    kind: Literal["train", "validation"]
    epoch: int = Field(ge=0)
    """Counts from 1; 0 where epochs are not counted."""
    step: int = Field(ge=0)
    """Optimizer steps since the run began."""
    examples: int = Field(default=0, ge=0)
    """Examples trained on so far."""
    learning_rate: float | None = None
    """None where a script does not report it as such."""
    reported: bool = False
    """Whether its values are what a script reported, rather than what this package measured."""
    progress: float | None = None
    """Epochs trained so far: 1.5 is the middle of the second."""
    metrics: dict[str, float]
    """Weighted by examples. Validation rows hold ``val_...`` and the epoch's training metrics."""
    per_batch: dict[str, float] = Field(default_factory=dict)
    """The same metrics as plain means of per-batch values."""
    clock: Clock

    def summary(self, most: int = 3) -> str:
        """The first metrics in a few words, on a validation those of the validation: ``val_loss/total 0.0559``."""
        names = [name for name in self.metrics if self.kind == "train" or name.startswith("val_")]
        return ", ".join(f"{name} {self.metrics[name]:.4g}" for name in names[:most])

    def headline(self, epochs: int | None) -> str:
        """A validation as a line of a log or a screen; `epochs` are those of the card."""
        where = f"step {self.step:,}" if epochs is None or self.reported else f"epoch {self.epoch}/{epochs}"
        return f"{where}: {self.summary()}"


@dataclass(frozen=True)
class History:
    """``history.jsonl``; one writer."""

    path: Path

    def append(self, row: HistoryRow) -> None:
        """Add a row; a validation is on the disk when this returns.

        Raises:
            EnvironmentFailed: the disk is full, read-only or failing.
        """
        append_line(self.path, row.model_dump(), durable=row.kind == "validation")

    def rows(self) -> list[HistoryRow]:
        """Every complete row, oldest first."""
        return [row for line in read_lines(self.path) if (row := _row(line)) is not None]

    def validations(self) -> list[HistoryRow]:
        """The validations, oldest first."""
        return [row for row in self.rows() if row.kind == "validation"]

    def truncate_after(self, step: int, *, note: Callable[[HistoryCut], object] = lambda _: None) -> int:
        """Drop the rows beyond a step, which a resumed run trains again. The others keep their bytes.

        Args:
            step: the last one that is kept.
            note: called with what will be dropped, before it is.

        Returns:
            how many rows were dropped.
        """
        rows = [(line, row) for line in lines_of(self.path) if (row := _row(parse_line(line))) is not None]
        kept = [line for line, row in rows if row.step <= step]
        dropped = len(rows) - len(kept)
        if dropped:
            left = b"".join(line + b"\n" for line in kept)
            seal = seal_of(kept[-1]) if kept else None
            anchor = LinesAnchor(bytes=len(left), last=seal.sum if seal else None)
            note(HistoryCut(step=step, rows=dropped, kept=anchor))
            write_bytes(self.path, left)
        return dropped


def _of(spent: float | None, projected: float | None, show: Callable[[float], str]) -> str:
    return "" if spent is None or projected is None else f"{show(spent)} of {show(projected)}"


def parse_row(line: bytes) -> HistoryRow | None:
    """The row of one line, with or without its end; None for a line that is not one."""
    return _row(parse_line(line))


def _row(line: object) -> HistoryRow | None:
    try:
        return HistoryRow.model_validate(line)
    except ValidationError:
        return None


@dataclass
class RuleRows:
    """Converts the rows of a history, in order, to rows of `cardrunner.kill_rules`.

    Args:
        metrics: those that the workload computes.
    """

    metrics: tuple[MetricSpec, ...]
    _attempts: set[int | None] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._names = MetricNames(self.metrics)
        self._training = {spec.name for spec in self.metrics}

    def row(self, row: HistoryRow) -> Row:
        """Convert the next row."""
        if row.kind == "validation":
            measured = {name: value for name, value in row.metrics.items() if name not in self._training}
            means = {name: value for name, value in row.metrics.items() if name in self._training}
            found = {**self._names.with_aliases(measured), **_quantities(row.clock, settled=False)}
            done = float(row.epoch) if row.progress is None or not row.reported else row.progress
            return _rule_row(row, found, progress=done, means=means)
        settled = row.clock.attempt in self._attempts
        self._attempts.add(row.clock.attempt)
        progress = float(max(0, row.epoch - 1)) if row.progress is None else row.progress
        return _rule_row(row, {**row.metrics, **_quantities(row.clock, settled=settled)}, progress=progress)

    def rows(self, rows: Iterable[HistoryRow]) -> Iterator[Row]:
        """Convert several rows."""
        return map(self.row, rows)


def baselines_of(card: Card, metrics: tuple[MetricSpec, ...]) -> Baselines:
    """The metrics of the card's baselines, under every name of each metric."""
    names = MetricNames(metrics)
    return {
        baseline.run: names.with_aliases({names.canonical(name): value for name, value in baseline.metrics.items()})
        for baseline in card.baselines
    }


def _rule_row(
    row: HistoryRow, metrics: Mapping[str, float], *, progress: float, means: Mapping[str, float] | None = None
) -> Row:
    return Row(
        kind=row.kind,
        epoch=row.epoch,
        step=row.step,
        progress=progress,
        seconds=row.clock.trained_seconds,
        metrics=metrics,
        epoch_means=means or {},
    )


def _quantities(clock: Clock, *, settled: bool) -> dict[str, float]:
    """The quantities of a row; those of pace only where the attempt has settled down, at log points after its first."""
    known = {
        "epoch_time": clock.epoch_seconds,
        "examples_per_second": clock.examples_per_second if settled else None,
        "data_wait": clock.wait_share if settled else None,
        "wall_time": clock.total_seconds,
        "cost": clock.cost_usd,
    }
    return {name: value for name, value in known.items() if value is not None}


def verdict_line(event: RuleFired, rules: Sequence[Rule]) -> str:
    """The headline of a verdict, followed by the reason that the card gives for the rule.

    Args:
        event: the verdict.
        rules: the kill thresholds of the card.
    """
    why = rules[event.rule].why if event.rule < len(rules) else None
    return event.headline + (f"; why: {why}" if why else "")
