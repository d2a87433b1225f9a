"""The history of a run as rules see it: rows, oldest first, and the series of each metric in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Literal, NamedTuple

from cardrunner.common.units import Every

Baselines = Mapping[str, Mapping[str, float]]
"""Baseline run -> metric -> value, under every name of the metric that a rule may use."""
_NOTHING: Mapping[str, float] = MappingProxyType({})


class Row(NamedTuple):
    """One moment of a run: a log point, a validation, or an event of the training loop.

    Attributes:
        epoch: the epoch in progress, from 1; on a validation the one that it ends.
        step: the global step.
        progress: epochs trained so far; 1.5 is the middle of the second. On a validation always its epoch.
        seconds: spent on training in all attempts so far, including waiting for batches, excluding validation,
            loading and steps that were trained again. None if the history has no times.
        metrics: what was measured at this moment, under every name that rules may use.
        epoch_means: on a validation, the training metrics over its whole epoch.
    """

    kind: Literal["train", "validation", "event"]
    epoch: int
    step: int
    progress: float
    seconds: float | None = None
    metrics: Mapping[str, float] = _NOTHING
    epoch_means: Mapping[str, float] = _NOTHING

    @property
    def place(self) -> str:
        """Where it is, in words: ``after epoch 2``, ``at step 500 in epoch 1``."""
        if self.kind == "validation" and self.epoch and self.progress == self.epoch:
            return f"after epoch {self.epoch}"
        return f"at step {self.step}" + (f" in epoch {self.epoch}" if self.epoch else "")


class RuleHistory:
    """A growing list of rows, and the baselines of the card: the input of every rule.

    Args:
        rows: the rows so far, oldest first.
        baselines: see `Baselines`.
    """

    def __init__(self, rows: Iterable[Row] = (), *, baselines: Baselines | None = None) -> None:
        self.baselines: Baselines = baselines or {}
        self.newest: Row | None = None
        self._rows: list[Row] = []
        self._measured: dict[str, list[Row]] = {}
        self._validated: dict[str, list[Row]] = {}
        self._best: dict[tuple[str, int, bool], list[float | None]] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Append a row; one with the kind and step of a row just before replaces it, and what follows it."""
        place = next((at for at, old in enumerate(self._rows[-2:][::-1], 1) if _same(old, row)), 0)
        if place:
            del self._rows[-place:]
            self._measured, self._validated, self._best = {}, {}, {}
        self._rows.append(row)
        self.newest = row
        for name, rows in self._measured.items():
            rows += [row] if name in row.metrics else []
        for name, rows in self._validated.items():
            rows += [row] if _validates(row, name) else []

    def measured(self, name: str) -> Sequence[Row]:
        """The rows at which a metric was measured."""
        if name not in self._measured:
            self._measured[name] = [row for row in self._rows if name in row.metrics]
        return self._measured[name]

    def validated(self, name: str) -> Sequence[Row]:
        """The validations with a value of a metric, measured there or as the mean of their epoch."""
        if name not in self._validated:
            self._validated[name] = [row for row in self._rows if _validates(row, name)]
        return self._validated[name]

    def best(self, name: str, first: int, at: int, *, largest: bool) -> float | None:
        """The smallest or largest finite value of a metric in its rows from `first` to before `at`, or None.

        Results are cached, because a history is judged again at each of its rows.
        """
        found, rows = self._best.setdefault((name, first, largest), [None]), self.measured(name)
        for row in islice(rows, first + len(found) - 1, at):
            value, best = row.metrics[name], found[-1]
            better = best is None or (value > best if largest else value < best)
            found.append(value if math.isfinite(value) and better else best)
        return found[at - first]


class View(NamedTuple):
    """What a rule may use: the row at `at`, and the rows before it from `first` on."""

    watched: RuleHistory
    rows: Sequence[Row]
    first: int
    at: int

    @property
    def row(self) -> Row:
        """The row to judge."""
        return self.rows[self.at]


def reached(row: Row, span: Every) -> bool:
    """Whether at least a span of training (epochs, steps or seconds) is done at a row."""
    done = _progress(row, span)
    return done is not None and done >= span.value


def passed(row: Row, span: Every) -> bool:
    """Whether more than a span of training is done at a row, or the history cannot tell."""
    done = _progress(row, span)
    return done is None or done > span.value


def _progress(row: Row, span: Every) -> float | None:
    if span.unit == "second":
        return row.seconds
    return row.step if span.unit == "step" else row.progress


def _same(one: Row, other: Row) -> bool:
    return (one.kind, one.epoch, one.step) == (other.kind, other.epoch, other.step)


def _validates(row: Row, name: str) -> bool:
    return row.kind == "validation" and (name in row.metrics or name in row.epoch_means)
