"""The history: what must hold between its rows, and between their clocks and the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from cardrunner.card.estimate import cost_of
from cardrunner.card.platforms import platform_of
from cardrunner.runs.events import Acknowledged, AttemptEnded, AttemptStarted, Restarted
from cardrunner.runs.lines import object_of
from cardrunner.verifying.evidence import Evidence, seconds_of
from cardrunner.verifying.findings import Finding, Unchecked, difference
from cardrunner.verifying.ledger import TOLERANCE, unreadable

FILE = "history.jsonl"
SCRIPTS_EPOCHS = "a script counts its epochs and examples itself"
_PAUSE = 1.0
"""Seconds that may pass between two readings of the clock for one row."""


def readable(run: Evidence) -> Iterator[Finding]:
    """Every line is a row; the torn end of a crash is named."""
    rows = {line.number for line in run.rows}
    for number, raw in run.history_lines:
        if number in rows:
            continue
        if object_of(raw) is None:
            yield unreadable(FILE, number, raw)
        else:
            yield difference(FILE, "is not a row of a history: a value is missing, added or impossible", line=number)


def rows_once(run: Evidence) -> Iterator[Finding]:
    """No log point and no validation is there twice."""
    seen: dict[tuple[str, int], int] = {}
    for number, row in run.rows:
        earlier = seen.setdefault((row.kind, row.step), number)
        if earlier != number:
            what = f"a {row.kind} row of step {row.step}, which line {earlier} is already"
            yield difference(FILE, what, line=number, kind="unexpected")


def rows_rise(run: Evidence) -> Iterator[Finding]:
    """Steps, epochs and examples never fall, and more steps mean more examples."""
    if not run.card.training.measured:
        yield from _reported_steps_rise(run)
        return
    for (_, before), (number, row) in pairwise(run.rows):
        for name, old, new in (("step", before.step, row.step), ("epoch", before.epoch, row.epoch)):
            if new < old:
                yield difference(FILE, f"{name} {new} comes after {name} {old}", line=number)
        if (row.step > before.step) != (row.examples > before.examples):
            what = f"{row.examples} examples at step {row.step}, after {before.examples} at step {before.step}"
            yield difference(FILE, what, line=number)


def _reported_steps_rise(run: Evidence) -> Iterator[Finding]:
    """Sources of a script may lag behind each other, so that steps rise within each kind of row."""
    newest: dict[str, int] = {}
    for number, row in run.rows:
        if row.step <= newest.get(row.kind, -1):
            what = f"a {row.kind} row of step {row.step} comes after one of step {newest[row.kind]}"
            yield difference(FILE, what, line=number)
        newest[row.kind] = row.step


def epochs_validated_once(run: Evidence) -> Iterator[Finding]:
    """Validations are those of epoch 1, 2, 3, one each."""
    if not run.card.training.measured:
        yield Unchecked(SCRIPTS_EPOCHS)
        return
    for expected, (number, row) in enumerate(run.validations, 1):
        if row.epoch != expected:
            what = f"a validation of epoch {row.epoch}, where that of epoch {expected} belongs"
            yield difference(FILE, what, line=number, kind="missing" if row.epoch > expected else "unexpected")
            return


def progress_fits(run: Evidence) -> Iterator[Finding]:
    """The progress of a row lies in its epoch."""
    if not run.card.training.measured:
        yield Unchecked(SCRIPTS_EPOCHS)
        return
    for number, row in run.rows:
        if row.progress is None:
            continue
        if not row.epoch - 1 <= row.progress <= row.epoch:
            yield difference(FILE, f"progress {row.progress:g} in epoch {row.epoch}", line=number)


def epochs_are_alike(run: Evidence) -> Iterator[Finding]:
    """Each epoch has the same number of steps and examples, unless a restart or a person changed the run."""
    if not run.card.training.measured:
        yield Unchecked(SCRIPTS_EPOCHS)
        return
    if run.of(Restarted, Acknowledged):
        yield Unchecked("a restart or an acknowledged change may have changed the length of an epoch")
        return
    if not run.validations:
        return
    number_first, first = run.validations[0]
    for number, row in run.validations[1:]:
        if row.progress is not None and row.progress < row.epoch:
            continue  # an epoch that broke off, because the weights were not finite
        for name, value, of_first in (("step", row.step, first.step), ("examples", row.examples, first.examples)):
            if value * first.epoch != of_first * row.epoch:
                what = f"{name} {value} after epoch {row.epoch}, and {of_first} after epoch {first.epoch}"
                yield difference(FILE, f"{what} (line {number_first}): epochs have the same length", line=number)


def metrics_are_known(run: Evidence) -> Iterator[Finding]:
    """A row has metrics of the workload alone."""
    names = run.names
    for number, row in run.rows:
        strange = [name for name in row.metrics if names.spec(name) is None and names.training(name) is None]
        if strange:
            yield difference(FILE, f"{strange[0]!r} is no metric of {run.loaded.spec.name}", line=number)


def rows_in_attempts(run: Evidence) -> Iterator[Finding]:
    """A row was written by a started attempt, in the order of the attempts and between their start and end."""
    starts = {event.attempt: event.since for _, event in run.of(AttemptStarted)}
    ends = {event.attempt: event.at for _, event in run.of(AttemptEnded)}
    newest = 0
    for number, row in run.rows:
        attempt = row.clock.attempt
        if attempt is None:
            continue
        if attempt not in starts or attempt < newest:
            what = f"was written by attempt {attempt}" + (f", after rows of attempt {newest}" if newest else "")
            yield difference(
                FILE, what + ("" if attempt in starts else "; the ledger has no such attempt"), line=number
            )
            continue
        newest = attempt
        at, began, ended = (seconds_of(text) for text in (row.clock.at, starts[attempt], ends.get(attempt, "")))
        if at is None or (began is not None and at < began - TOLERANCE) or (ended and at > ended + TOLERANCE):
            what = f"is of {row.clock.at}, and attempt {attempt} began at {starts[attempt]}"
            yield difference(FILE, f"{what} and ended at {ends.get(attempt, 'an unknown time')}", line=number)


def clocks_rise(run: Evidence) -> Iterator[Finding]:
    """Time and money never fall."""
    for (_, before), (number, row) in pairwise(run.rows):
        same = before.clock.attempt == row.clock.attempt
        slack = 0.0 if same else TOLERANCE
        one, two = before.clock, row.clock
        pairs = [("total_seconds", one.total_seconds, two.total_seconds, slack)]
        pairs += [("cost_usd", one.cost_usd, two.cost_usd, slack * (rate_of(run) or 0.0))]
        pairs += [("trained_seconds", one.trained_seconds, two.trained_seconds, 0.0)]
        pairs += [("seconds", one.seconds, two.seconds, 0.0)] if same else []
        if run.of(Restarted):  # which measures from a new beginning
            pairs = [(name, old, new, max(room, _PAUSE)) for name, old, new, room in pairs if name != "trained_seconds"]
        for name, old, new, room in pairs:
            if old is not None and new is not None and new < old - room:
                yield difference(FILE, f"clock.{name} {new:.6g} comes after {old:.6g}", line=number)


def times_agree(run: Evidence) -> Iterator[Finding]:
    """Within an attempt, the seconds of the run and of the attempt pass equally fast."""
    if run.of(Restarted):
        yield Unchecked("a restart begins to measure anew")
        return
    for (_, before), (number, row) in pairwise(run.rows):
        one, two = before.clock, row.clock
        if one.attempt != two.attempt or one.total_seconds is None or two.total_seconds is None:
            continue
        run_took, attempt_took = two.total_seconds - one.total_seconds, two.seconds - one.seconds
        if not math.isclose(run_took, attempt_took, abs_tol=_PAUSE):
            what = f"since the row before, clock.total_seconds grew by {run_took:.3f} and clock.seconds by"
            yield difference(FILE, f"{what} {attempt_took:.3f}", line=number)


def costs_are_priced(run: Evidence) -> Iterator[Finding]:
    """The cost of a row is its time at the card's price."""
    rate = rate_of(run)
    for number, row in run.rows:
        seconds, cost = row.clock.total_seconds, row.clock.cost_usd
        if seconds is None or (cost is None and rate is None):
            continue
        expected = None if rate is None else seconds * rate
        if cost is None or expected is None or not math.isclose(cost, expected, rel_tol=1e-9, abs_tol=1e-12):
            what = f"clock.cost_usd is {cost}, and {seconds:.6g} s at the card's price are {expected}"
            yield difference(FILE, what, line=number)


def rate_of(run: Evidence) -> float | None:
    """Dollars per second by the card; 0 on a platform that is free, None where the price is unknown."""
    price, card = cost_of(run.loaded.card, 1.0), run.loaded.card
    return (0.0 if platform_of(card.infra).free else None) if price is None else price


def seconds_within_attempts(run: Evidence) -> Iterator[Finding]:
    """The attempts took at least as long as their rows say."""
    took = {event.attempt: event.seconds for _, event in run.of(AttemptEnded)}
    known: dict[int, float | None] = {}
    total: float | None = 0.0
    for started in sorted({event.attempt for _, event in run.of(AttemptStarted)}):
        lasted = took.get(started)
        total = None if total is None or lasted is None else total + lasted
        known[started] = total
    for number, row in run.rows:
        attempt, seconds = row.clock.attempt, row.clock.total_seconds
        limit = known.get(attempt or 0)
        if limit is not None and seconds is not None and seconds > limit + TOLERANCE:
            what = f"clock.total_seconds is {seconds:.6g}, and the attempts up to {attempt} took"
            yield difference(FILE, f"{what} {limit:.6g} by the ledger", line=number)
