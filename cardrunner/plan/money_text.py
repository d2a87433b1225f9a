"""The time and cost of a plan as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from cardrunner.card.estimate import SpendingLimit
from cardrunner.card.platforms import platform
from cardrunner.common.text import listed, plural
from cardrunner.common.units import format_dollars, format_duration
from cardrunner.plan.money import PlannedCost, PriceLine, Prices, TimeoutCover
from cardrunner.plan.records import Plan

WIDTH = 80
LABEL = 13
Lines = Iterable[str]


def block(label: str, lines: Lines) -> Iterator[str]:
    """A label beside its lines; empty if there are no lines."""
    for number, line in enumerate(lines):
        yield f"{label if number == 0 else '':<{LABEL}}{line}".rstrip()


def paragraph(text: str, *, indent: int = 0, hang: int = 0) -> Iterator[str]:
    """Wrap a text to fit beside the label, without breaking words, paths or names.

    Args:
        indent: columns by which all lines are indented.
        hang: additional indent of the lines after the first.
    """
    yield from textwrap.wrap(
        " ".join(text.split()),
        WIDTH - LABEL,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(rows: Sequence[Sequence[str]], align: str) -> Iterator[str]:
    """Rows as columns of equal width.

    Args:
        rows: all of one length.
        align: one of l and r per column.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            f"{cell:>{width}}" if side == "r" else f"{cell:<{width}}"
            for cell, width, side in zip(row, widths, align, strict=True)
        )
        yield "  ".join(cells).rstrip()


_HEAD = ("", "epoch", "loading", "whole run", "cost", "examples/s", "in the timeout")
_OPTIONAL = (_HEAD.index("epoch"), _HEAD.index("examples/s"))
"""Columns that a script may not have."""


def estimates(plan: Plan) -> Iterator[str]:
    """One row per calibration, and the learned one last."""
    rows = [_row(f"{column.factor:g}x", column, plan) for column in plan.estimates]
    if plan.learned.estimate:
        rows.append(_row("learned", plan.learned.estimate, plan))
    shown = [at for at in range(len(_HEAD)) if at not in _OPTIONAL or any(row[at] != "-" for row in rows)]
    yield from table([[row[at] for at in shown] for row in (_HEAD, *rows)], "".join("lrrrrrl"[at] for at in shown))


def learned(plan: Plan) -> Iterator[str]:
    """Which runs the estimate was learned from, and how far it is from the card's own."""
    yield from paragraph(plan.learned.note)
    column = plan.learned.estimate
    if column and column.factor is not None:
        yield from paragraph(f"an epoch would take {column.factor:.3g}x the card's optimistic estimate")


def prices(plan: Plan) -> Iterator[str]:
    """What an hour costs, with the source of each price."""
    known = plan.prices
    if not known.lines:
        yield (
            "this machine counts as free" if platform(plan.platform).free else "not known, so no figure here has a cost"
        )
    for line in known.lines:
        yield from paragraph(_price(line, known))
    if len(known.lines) > 1 and known.usd_per_hour is not None:
        yield from paragraph(f"together {format_dollars(known.usd_per_hour)} an hour")
        yield from _gpu_alone(plan)
    if known.not_included:
        yield from paragraph(f"also billed, not included here: {', '.join(known.not_included)}")


def _gpu_alone(plan: Plan) -> Iterator[str]:
    """The costs as the card states them."""
    alone = [format_dollars(column.gpu_usd) for column in plan.estimates if column.gpu_usd is not None]
    if alone:
        counted = "stated costs and budget count" if plan.worst_case.budget_usd is not None else "stated costs count"
        yield from paragraph(f"the card's {counted} its own price alone, which gives {', '.join(alone)}")


def timeout(plan: Plan) -> Iterator[str]:
    """What the timeout covers, and how runs beyond it are continued."""
    cover = plan.timeout
    if cover is None:
        yield "none"
        return
    covers = f"covers {cover.covers}" if cover.covers else "covers no calibration"
    yield from paragraph(f"{format_duration(cover.seconds)} for {cover.counts}; {covers}")
    longer = {f"{column.factor:g}x": column for column in plan.estimates if not column.covered_by_timeout}
    if plan.learned.estimate and not plan.learned.estimate.covered_by_timeout:
        longer["as learned it"] = plan.learned.estimate
    attempts = cover.attempts if platform(plan.platform).resumes_after_timeout else 1
    for name, column in longer.items():
        yield from paragraph(f"{name} {_beyond(column, cover, attempts)}")


def worst_case(plan: Plan) -> Iterator[str]:
    """The most it can take and cost."""
    worst = plan.worst_case
    if worst.limited_by == "nothing":
        yield "nothing limits the time or the cost"
        return
    if worst.seconds is not None and plan.timeout is not None:
        cost = "" if worst.cost_usd is None else f", {format_dollars(worst.cost_usd)}"
        attempts = plural(worst.attempts, "attempt")
        each = f"{attempts} of {format_duration(plan.timeout.seconds)}"
        gaps = f", without {listed(plan.prices.not_included)}" if plan.prices.not_included and cost else ""
        yield from paragraph(f"{format_duration(worst.seconds)}{cost} ({each}{gaps})")
    if worst.budget_usd is not None and worst.budget_seconds is not None:
        reached = f"{format_duration(worst.budget_seconds)} of all attempts together"
        limit = SpendingLimit(worst.budget_usd, worst.budget_seconds, worst.budget_cost_usd)
        more = f"; {limit.more}" if limit.more else ""
        stops = f"the run saves and stops after {reached}"
        yield from paragraph(f"budget {format_dollars(worst.budget_usd)}{limit.share}: {stops}{more}")
    yield from paragraph(f"what ends it first: {worst.limited_by}")


def _row(name: str, column: PlannedCost, plan: Plan) -> tuple[str, ...]:
    speed = column.examples_per_second
    return (
        name,
        "-" if column.epoch_seconds is None else format_duration(column.epoch_seconds),
        format_duration(column.load_seconds),
        format_duration(column.total_seconds),
        "-" if column.cost_usd is None else format_dollars(column.cost_usd),
        "-" if speed is None else f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}",
        "-" if plan.timeout is None else "yes" if column.covered_by_timeout else "no",
    )


def _beyond(column: PlannedCost, cover: TimeoutCover, attempts: int) -> str:
    """How a run beyond the timeout is split into attempts, some of which start by themselves."""
    needed = column.attempts_needed
    if needed is None:
        return "never gets beyond loading the data"
    who = "the retries start each next one" if needed <= attempts else cover.later_attempts
    return f"takes {format_duration(column.total_seconds)}: {needed} attempts; {who}"


def _price(line: PriceLine, known: Prices) -> str:
    amount = "" if line.amount == 1 else f"{line.amount:.3g} x "
    source = f"by the table of {line.as_of}" if line.source == "table" else "as the card says"
    if line.source == "card" and known.table_usd is not None:
        source += f" (the table of {known.table_as_of}: {format_dollars(known.table_usd)})"
    price = format_dollars(line.usd) if line.usd >= 0.1 else f"${line.usd:.3g}"
    return f"{amount}{line.resource}: {price} per {line.unit}, {source}"
