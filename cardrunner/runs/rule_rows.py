"""History rows as kill rules see them: every metric under every name that a card may write, and the quantities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cardrunner.card.schema.card import Card
from cardrunner.kill_rules import Baselines, Row, Rule
from cardrunner.runs.events import RuleFired
from cardrunner.runs.history import Clock, HistoryRow
from cardrunner.specs import MetricNames, MetricSpec


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
            return _row(row, found, progress=float(row.epoch), means=means)
        settled = row.clock.attempt in self._attempts
        self._attempts.add(row.clock.attempt)
        progress = float(row.epoch - 1) if row.progress is None else row.progress
        return _row(row, {**row.metrics, **_quantities(row.clock, settled=settled)}, progress=progress)

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


def _row(
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
