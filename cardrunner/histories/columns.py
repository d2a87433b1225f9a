"""The meaning of a foreign history's columns: progress, time, and the metrics of the card's workload."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.errors import UsageError
from cardrunner.kill_rules import QUANTITIES
from cardrunner.specs import MetricNames

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NON_FINITE = {
    "nan": math.nan, "inf": math.inf, "infinity": math.inf, "+inf": math.inf, "-inf": -math.inf, "-infinity": -math.inf,
}  # fmt: skip
_SHOWN = 32
_HUGE = 10**308
"""JSON allows larger whole numbers, which a float cannot hold."""


class HistoryLine(NamedTuple):
    """A line of a file. Cells are texts of a CSV, or values of JSON."""

    file: str
    number: int
    cells: Mapping[str, object]

    def value(self, column: str | None) -> float | None:
        """The number in a column; None if the cell is empty or the column is absent.

        Raises:
            UsageError: the cell holds something else.
        """
        cell = None if column is None else self.cells.get(column)
        if cell is None or cell == "":
            return None
        if isinstance(cell, float):
            return cell
        if isinstance(cell, int) and not isinstance(cell, bool):
            return float(cell) if abs(cell) < _HUGE else math.copysign(math.inf, cell)
        if not isinstance(cell, str):
            raise self.fault(column, "is not a number")
        text = cell.strip().lower()
        if text in _NON_FINITE:
            return _NON_FINITE[text]
        if not _NUMBER.fullmatch(text):
            hint = "; write a decimal point" if re.fullmatch(r"-?[0-9]+,[0-9]+", text) else ""
            raise self.fault(column, f"{_shown(cell)} is not a number{hint}")
        return float(text)

    def fault(self, column: str | None, what: str) -> UsageError:
        """What is wrong with a cell, with its place."""
        return UsageError(f"{self.file}:{self.number}: column {_shown(column or '')}: {what}")


def _shown(text: str) -> str:
    """Text of a file in quotes, safe to print."""
    kept = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return f'"{"".join(sign if sign.isprintable() else "�" for sign in kept)}"'


_EPOCH = ("epoch", "Epoch", "epochs", "train/epoch", "trainer/epoch")
_STEP = ("step", "_step", "Step", "global_step", "train/global_step", "trainer/global_step")
_SECONDS = ("_runtime", "seconds", "Relative Time (Process)", "Relative Time (Wall)")
_EXTREMES = ("__MIN", "__MAX")
"""Columns that wandb adds to those of an exported chart."""
_MOST = 12


class Columns(NamedTuple):
    """Names of columns; None for what the history lacks."""

    epoch: str | None
    step: str | None
    seconds: str | None
    validation: Mapping[str, str]
    """Validation metric, by its name of the workload -> column."""
    training: Mapping[str, str]
    quantities: Mapping[str, str]


def find_columns(file: str, names: Iterable[str], spec: WorkloadSpec, chosen: Mapping[str, str]) -> Columns:
    """Sort the columns of a history.

    Args:
        file: its name, for messages.
        names: the names of its columns.
        spec: the workload whose metrics they may be.
        chosen: the columns of metrics that have another name there, by metric.

    Raises:
        UsageError: two columns are one metric, several runs share the file, or a chosen column is not there.
    """
    names, computed = list(dict.fromkeys(names)), MetricNames(spec.metrics)
    found = {computed.canonical(metric): column for metric, column in chosen.items()}
    _check_chosen(file, names, computed, chosen)
    known = [(*_run_and_metric(name), name) for name in names if not name.endswith(_EXTREMES)]
    measured = [(run, computed.canonical(metric), name) for run, metric, name in known if _is_known(computed, metric)]
    _check_one_run(file, [(run, name) for run, metric, name in measured if metric not in found])
    for _, metric, name in measured:
        other = found.setdefault(metric, name)
        if other != name and other not in chosen.values():
            raise UsageError(f'{file}: columns "{other}" and "{name}" are the same metric; remove one')
    epoch, step, seconds = (
        next((name for name in places if name in names), None) for places in (_EPOCH, _STEP, _SECONDS)
    )
    return Columns(
        epoch,
        step,
        seconds,
        {metric: column for metric, column in found.items() if computed.spec(metric)},
        {metric: column for metric, column in found.items() if computed.training(metric)},
        {metric: column for metric, column in found.items() if metric in QUANTITIES},
    )


def _run_and_metric(column: str) -> tuple[str, str]:
    """An exported chart of wandb has columns ``RUN - METRIC``."""
    run, _, metric = column.rpartition(" - ")
    return run, metric


def _is_known(computed: MetricNames, metric: str) -> bool:
    return computed.spec(metric) is not None or computed.training(metric) is not None or metric in QUANTITIES


def _check_chosen(file: str, names: Sequence[str], computed: MetricNames, chosen: Mapping[str, str]) -> None:
    for metric, column in chosen.items():
        if not _is_known(computed, metric):
            raise UsageError(
                f'--column: nothing computes a metric "{metric}"; {_listed(computed.known(training=True))}'
            )
        if column not in names:
            raise UsageError(f'{file}: there is no column "{column}"; {_listed(names)}')


def _check_one_run(file: str, columns: Sequence[tuple[str, str]]) -> None:
    by_run = dict(columns[::-1])
    if len(by_run) > 1:
        both = " and ".join(f'"{name}"' for name in list(by_run.values())[::-1][:2])
        raise UsageError(f"{file}: its columns are of {len(by_run)} runs ({both}); export one of them")


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return f"there are {', '.join(listed[:_MOST])}{' and more' if len(listed) > _MOST else ''}"
