"""Recognising the kind of a history file, and reading it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TextIO

from pydantic import ValidationError

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.errors import UsageError
from cardrunner.histories.columns import Columns, HistoryLine, find_columns
from cardrunner.histories.rows import EpochCounting, RowsOf, csv_lines, json_lines
from cardrunner.kill_rules import Row
from cardrunner.kill_rules.quantities import range_of
from cardrunner.runs.history import HistoryRow, RuleRows
from cardrunner.runs.inspect import in_lines
from cardrunner.runs.jsonl import parse_line
from cardrunner.runs.lines import examine_lines
from cardrunner.specs import MetricNames


class FoundHistory(NamedTuple):
    """Rows as rules see them, with notes on how they were read.

    Attributes:
        unfit: metrics and quantities that have an impossible value there, each with a sentence about it; the rows leave
            them out.
    """

    path: Path
    rows: Sequence[Row]
    notes: tuple[str, ...] = ()
    unfit: Mapping[str, str] = MappingProxyType({})


def read_history(path: Path, spec: WorkloadSpec, *, columns: Mapping[str, str] | None = None) -> FoundHistory:
    """Read the history of a run: its own ``history.jsonl``, a CSV, or an export of wandb (CSV or JSON lines).

    Args:
        path: the file.
        spec: the workload whose metrics it holds.
        columns: the columns of metrics that have another name there, by metric.

    Raises:
        UsageError: it cannot be read, is of another kind, or a line of it is wrong; names the line and the column.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file with a history; give a run, a .jsonl or a .csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = next((line for line in stream if line.strip()), "").lstrip()
            stream.seek(0)
            if first.startswith("["):
                raise UsageError(f"{path}:1:1: this is a JSON array; write one object a line")
            if _is_own(parse_line(first.encode())):
                return _own(path, stream, spec)
            lines = list(json_lines(path, stream) if first.startswith("{") else csv_lines(path, stream))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; this is neither CSV nor JSON lines") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if not lines:
        raise UsageError(f"{path} has no rows")
    return _foreign(path, lines, spec, columns or {})


def _is_own(line: Mapping[str, Any] | None) -> bool:
    return line is not None and isinstance(line.get("metrics"), dict) and "clock" in line


def _own(path: Path, stream: TextIO, spec: WorkloadSpec) -> FoundHistory:
    """Rows as a run writes them; a crash may have torn some, which the run itself leaves out too."""
    rows: list[HistoryRow] = []
    torn = 0
    for number, text in enumerate(stream, start=1):
        line = parse_line(text.encode())
        if line is None:
            torn += bool(text.strip())
            continue
        try:
            rows.append(HistoryRow.model_validate(line))
        except ValidationError as error:
            detail = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in detail["loc"])
            raise UsageError(f"{path}:{number}: {where}: {detail['msg']}; this is not a row of a run") from None
        if len(rows) > 1 and rows[-1].step < rows[-2].step:
            said = f"{rows[-1].step} comes after {rows[-2].step}"
            raise UsageError(f'{path}:{number}: column "step": {said}; a history goes forward')
    notes = [f"{torn} torn {'line is' if torn == 1 else 'lines are'} left out, as a crash leaves them"] if torn else []
    notes += in_lines(damage for damage in examine_lines(path).damage if damage.grave)
    return FoundHistory(path, tuple(RuleRows(spec.metrics).rows(rows)), tuple(notes))


def _foreign(path: Path, lines: Sequence[HistoryLine], spec: WorkloadSpec, chosen: Mapping[str, str]) -> FoundHistory:
    columns = find_columns(str(path), (name for line in lines for name in line.cells), spec, chosen)
    unfit = dict(_unfit(columns, lines, spec))
    counting = EpochCounting.of(lines, columns.epoch)
    rows = tuple(RowsOf(columns, spec, counting, without=unfit).rows(lines))
    if not rows and any(columns[3:]):
        raise UsageError(f"{path}: its columns of metrics are empty")
    if not rows:
        raise UsageError(
            f"{path}: none of its columns is a metric of {spec.name}; name one with --column METRIC=COLUMN"
        )
    notes = [
        *(["epochs count from 0 there; they are read from 1"] if counting.from_zero else []),
        *(["it has no epochs: each validation counts as the end of one"] if columns.epoch is None else []),
        *(["it has no steps: each line counts as one"] if columns.step is None else []),
        *(["its times are those since the start, loading included"] if columns.seconds is not None else []),
    ]
    return FoundHistory(path, rows, (*notes, *unfit.values()), unfit)


def _unfit(columns: Columns, lines: Sequence[HistoryLine], spec: WorkloadSpec) -> Iterator[tuple[str, str]]:
    """The metrics that have a value there which they cannot have, such as an accuracy in percent."""
    names = MetricNames(spec.metrics)
    for metric, column in (pair for kind in columns[3:] for pair in kind.items()):
        values = range_of(metric, names)
        for line in lines:
            value = line.value(column)
            if value is not None and not values.holds(value):
                yield metric, f'column "{column}" has {value:g}, but {metric} {values}; no rule on it is judged'
                break
