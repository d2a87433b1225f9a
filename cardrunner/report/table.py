"""What facts functions hand to templates: tables, and text that is code."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cardrunner.common.units import format_duration, format_percent
from cardrunner.contracts import MetricSpec
from cardrunner.report.recorded import RecordedRun
from cardrunner.runs.records import FactRow, LoadRecord, TrainRecord

_UTC = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_TINY, _HUGE = 1e-4, 1e7


def measured(value: float | None, spec: MetricSpec | None = None) -> str | None:
    """A value that was measured: 4 significant digits, or a percentage with 2 decimals; None stays None."""
    if value is None or not math.isfinite(value):
        return None if value is None else _non_finite(value)
    return format_percent(value, decimals=2) if _percent(spec) else _significant(value, 4)


def stated(value: float | None, spec: MetricSpec | None = None) -> str | None:
    """A value that a person wrote in the card, with its own digits."""
    if value is None or not math.isfinite(value):
        return None if value is None else _non_finite(value)
    return f"{value:.6g}" if spec is None else spec.written(value)


def difference(value: float, reference: float, spec: MetricSpec | None = None) -> str:
    """``value - reference`` with its sign, in percentage points for percentages."""
    change = value - reference
    if not math.isfinite(change):
        return _non_finite(change)
    sign = "+" if change > 0 else "−" if change < 0 else "±"
    return f"{sign}{abs(change) * 100:.2f} pp" if _percent(spec) else f"{sign}{abs(change):.3g}"


def count(value: int | None) -> str | None:
    """A whole number with thousands separators."""
    return None if value is None else f"{value:,}"


def share(part: float, whole: float) -> str | None:
    """A part of a whole as a percentage; None if the whole is zero."""
    return format_percent(part / whole, decimals=1) if whole > 0 else None


def rate(value: float | None) -> str | None:
    """A rate with 3 significant digits and thousands separators."""
    if value is None or not math.isfinite(value):
        return None
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{round(value, 2 - math.floor(math.log10(value))) if value > 0 else 0:,.{digits}f}"


def when(text: str | None) -> str | None:
    """A recorded time without its milliseconds: ``2026-02-26 09:30:00 UTC``; other text stays as it is."""
    found = _UTC.fullmatch(text) if text else None
    return f"{found[1]} {found[2]} UTC" if found else text


def sentence(text: str) -> str:
    """A clause as a sentence: capitalised, with a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _percent(spec: MetricSpec | None) -> bool:
    return spec is not None and spec.percent


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    if not _TINY <= abs(value) < _HUGE:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:#.{digits}g}".rstrip(".")


def _non_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"


LONGEST_TABLE = 40


@dataclass(frozen=True)
class Code:
    """A name that readers may copy: a metric, a file, a digest, a command.

    Shown as a code span if the text allows it, else escaped like other text.
    """

    text: str


@dataclass(frozen=True)
class Strong:
    """Text in bold."""

    text: str


Cell = str | Code | Strong | int | None
"""None is shown as a dash."""


@dataclass(frozen=True)
class Table:
    """A table of the results card.

    Args:
        columns: the headings.
        align: one letter per column, ``l`` or ``r``.
        rows: cells; each row as long as `columns`.
        left_out: number of rows omitted to keep the table readable.
    """

    columns: tuple[str, ...]
    align: str
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0

    def __post_init__(self) -> None:
        if len(self.align) != len(self.columns) or any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(
                f"a table of {len(self.columns)} columns {self.columns} has a row or an alignment of another length"
            )


def table(columns: Sequence[str], align: str, rows: Iterable[Sequence[Cell]]) -> Table:
    """A table; a long one is thinned out evenly to `LONGEST_TABLE` rows, with its first and last rows kept."""
    every = tuple(tuple(row) for row in rows)
    kept = thin(every, LONGEST_TABLE)
    return Table(tuple(columns), align, kept, len(every) - len(kept))


def thin(rows: tuple[tuple[Cell, ...], ...], most: int) -> tuple[tuple[Cell, ...], ...]:
    """At most `most` rows, evenly spaced, always including the first and the last."""
    if len(rows) <= most:
        return rows
    return tuple(rows[round(place * (len(rows) - 1) / (most - 1))] for place in range(most))


@dataclass(frozen=True, kw_only=True)
class ExpectedFacts:
    """What `expected.md.j2` shows."""

    table: Table
    missing: tuple[str, ...]
    digests: tuple[str, ...]
    """What is to be known of the sha256 of files that the attempt did not compute."""
    mode: str | None
    found: str
    """Where else the actual values come from."""
    seconds: str | None


def expected_facts(run: RecordedRun) -> ExpectedFacts:
    """Collect what the section "Expected against actual" shows."""
    rows = facts_of(run)
    absent = [kind for kind in (LoadRecord, TrainRecord) if run.left(kind) is None]
    return ExpectedFacts(
        table=Table(("What", "Expected", "Actual", "Result", "Note"), "lllll", tuple(_row(row) for row in rows)),
        missing=tuple(sentence(run.lacks(kind)) for kind in absent),
        digests=tuple(_not_computed(run.load)) if run.load else (),
        mode=run.load.mode if run.load else None,
        found="in what the script said of itself" if run.reported else "the model itself",
        seconds=format_duration(run.load.seconds) if run.load else None,
    )


def facts_of(run: RecordedRun) -> tuple[FactRow, ...]:
    """Every fact that was checked: of the data by the load stage, of the model by the train stage."""
    facts = run.load.facts if run.load else ()
    said = run.train.facts if run.train else ()
    return (*facts, *said, *(() if "fact parameters" in {row.name for row in said} else _parameters(run)))


def failed_facts(run: RecordedRun) -> tuple[FactRow, ...]:
    """The facts that differ from the card."""
    return tuple(row for row in facts_of(run) if not row.ok)


def _not_computed(load: LoadRecord) -> Iterator[str]:
    remembered = [name for name, origin in load.digests.items() if origin == "remembered"]
    if remembered:
        yield f"sha256 remembered from an earlier reading, not computed by this attempt: {', '.join(remembered)}."
    pinned = [fact.name.removeprefix(_DIGEST_OF) for fact in load.facts if fact.name.startswith(_DIGEST_OF)]
    if unknown := [name for name in pinned if name not in load.digests]:
        yield f"It is not recorded whether this sha256 was computed or remembered: {', '.join(unknown)}."


_DIGEST_OF = "sha256 of "


def _parameters(run: RecordedRun) -> list[FactRow]:
    if run.train is None or run.train.parameters is None:
        return []
    expected, actual = run.card.model.parameters, run.train.parameters
    ok = expected in (None, actual)
    return [FactRow(name="trainable parameters", expected=count(expected), actual=f"{actual:,}", ok=ok)]


def _row(fact: FactRow) -> tuple[Cell, ...]:
    return (fact.name, fact.expected or "not stated", fact.actual, _result(fact), fact.note)


def _result(fact: FactRow) -> Cell:
    if fact.ok:
        return "as stated" if fact.expected is not None else "noted"
    return Strong("✗ differs" if fact.severity == "error" else "⚠ look at it")
