"""What a reader has to know before believing a number: one function per kind of note."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cardrunner.common.text import listed, plural
from cardrunner.report.checkpoints import agreement
from cardrunner.report.cross_checks import disagreements
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.surroundings import environments
from cardrunner.report.table import Cell, Code, Strong, Table, facts_of, failed_facts, when
from cardrunner.report.targets import target_results
from cardrunner.report.thresholds import unrecorded
from cardrunner.runs.attempts import TrackerState, tracker_states
from cardrunner.runs.event_model import Audience
from cardrunner.runs.events import Acknowledged, Restarted, WarningGiven, assignments
from cardrunner.runs.inspect import in_lines
from cardrunner.runs.records import Environment, LoadRecord

Mark = Literal["✓", "⚠", "✗"]


@dataclass(frozen=True)
class PageNote:
    """A remark: ✓ is fine, ⚠ needs attention, ✗ means the numbers cannot be trusted."""

    mark: Mark
    text: str


def notes_of(run: RecordedRun) -> tuple[PageNote, ...]:
    """Every note, the most serious first."""
    found = [note for kind in _KINDS for note in kind(run)]
    return tuple(sorted(found, key=lambda note: "✗⚠✓".index(note.mark)))


def _sections(run: RecordedRun) -> Iterator[PageNote]:
    for why in run.missing_sections:
        yield PageNote("⚠", f"A section of this page could not be made: {why}.")


def _checkpoint(run: RecordedRun) -> Iterator[PageNote]:
    mark: Mark = "⚠" if run.checkpoint is None else "✓" if run.checkpoint.agrees else "✗"
    yield PageNote(mark, agreement(run))


def _facts(run: RecordedRun) -> Iterator[PageNote]:
    failed = failed_facts(run)
    for row in failed:
        note = f"; {row.note}" if row.note else ""
        yield PageNote(
            "✗" if row.severity == "error" else "⚠",
            f"{row.name}: expected {row.expected or 'otherwise'}, found {row.actual}{note}.",
        )
    if run.load is None:
        yield PageNote("⚠", f"Nothing is known of the data ({run.lacks(LoadRecord)}).")
    elif not failed:
        count = plural(len(facts_of(run)), "fact")
        agree = "held against the card agree" if run.reported else "of data and model are as the card has them"
        yield PageNote("✓", f"All {count} {agree}.")


def _digest(run: RecordedRun) -> Iterator[PageNote]:
    launched = run.launch.card_digest if run.launch else None
    if launched is None:
        yield PageNote("⚠", "The launch left no record, so the launched digest is unknown.")
    elif launched == run.loaded.digest:
        yield PageNote("✓", "The card in the run folder has the digest that was launched.")
    else:
        yield PageNote(
            "✗", f"The card in the run folder was changed after the launch: its digest is no longer {launched[:12]}."
        )


def _card(run: RecordedRun) -> Iterator[PageNote]:
    faults = [fault for fault in run.loaded.warnings if fault.severity == "error"]
    for fault in faults:
        yield PageNote("⚠", f"This version of cardrunner finds fault with the card: {fault}")


def _code(run: RecordedRun) -> Iterator[PageNote]:
    known = [environment for _, environment in environments(run)]
    pin = run.card.code
    if pin is not None and pin.folder is not None and pin.sha256 is not None:
        yield PageNote("✓", "The code that ran is the code that was signed: its copy was compared before each start.")
    else:
        yield from _commits(known)
    if len(known) > 1:
        yield PageNote("⚠", f"The attempts ran in {len(known)} different environments; see Environment.")


def _commits(known: Sequence[Environment]) -> Iterator[PageNote]:
    """What commits alone say of the code that ran."""
    if any(environment.git_dirty for environment in known):
        yield PageNote("⚠", "The git tree had uncommitted changes: the commit alone does not give the code that ran.")
    if known and any(environment.git_commit is None for environment in known):
        yield PageNote("⚠", "The code was not under git, so no commit identifies the code that ran.")


def _attempts(run: RecordedRun) -> Iterator[PageNote]:
    resumed = [attempt for attempt in run.attempts if attempt.resumed_from]
    if resumed:
        places = listed(
            f"epoch {origin.epoch}, step {origin.step}" for attempt in resumed if (origin := attempt.resumed_from)
        )
        yield PageNote("⚠", f"The run was resumed {plural(len(resumed), 'time')} (from {places}).")
    lost = [attempt for attempt in run.attempts if attempt.ended is None]
    if lost and not run.status.live:
        numbers = listed(str(attempt.number) for attempt in lost)
        yield PageNote("⚠", f"Attempt {numbers} died without recording an end; its time is a lower bound.")


def _events(run: RecordedRun) -> Iterator[PageNote]:
    for event in run.events:
        match event:
            case Restarted():
                changes = assignments(event.changes) or "the same values"
                yield PageNote("⚠", f"The run was restarted with {changes}: {event.reason}.")
            case Acknowledged():
                yield PageNote("⚠", f"A reviewer acknowledged a difference and let the run go on: {event.text}.")
    told = sum(row.severity == "warning" for row in failed_facts(run))  # the load stage warns of these too
    warnings = sum(isinstance(event, WarningGiven) for event in run.events) - told
    if warnings > 0:
        yield PageNote("⚠", f"{plural(warnings, 'warning')} on the way; see Events.")


def _trackers(run: RecordedRun) -> Iterator[PageNote]:
    for name, why in untracked(run):
        yield PageNote("⚠", f"{name} did not watch the run to its end: {why}.")


def _targets(run: RecordedRun) -> Iterator[PageNote]:
    for result in target_results(run):
        if result.also_met_by:
            limit = f"{result.target.metric} {result.condition} {result.limit(run)}"
            names = listed(result.also_met_by)
            yield PageNote("⚠", f"The target {limit} is also met by {names}, which learned nothing.")


def _rules(run: RecordedRun) -> Iterator[PageNote]:
    for condition in unrecorded(run):
        yield PageNote(
            "⚠", f"The recorded metrics fulfil the kill threshold {condition}, but the ledger has no verdict on it."
        )


def _numbers(run: RecordedRun) -> Iterator[PageNote]:
    values = [pair for row in run.validation_rows for pair in row.metrics.items()]
    absent = {metric.name for metric in run.loaded.spec.metrics if metric.validation_only}  # from an epoch's training
    broken = sorted({name for name, value in values if not math.isfinite(value)} - absent)
    if broken:
        yield PageNote("✗", f"Some values of {listed(broken)} are not numbers (NaN or infinite).")
    if run.train and run.train.baselines == {} and run.loaded.spec.trivial_baselines:
        yield PageNote("⚠", "The trivial baselines were not measured, so the metrics stand alone.")


def _data_match(run: RecordedRun) -> Iterator[PageNote]:
    match = run.demo.data_match if run.demo else None
    if match is not None and match.agrees is not None:
        yield PageNote("✓" if match.agrees else "✗", f"Distribution match: {match.sentence}.")


def _damage(run: RecordedRun) -> Iterator[PageNote]:
    named = {text.partition(":")[0] for text in run.unreadable}
    found = [one for one in run.damage if one.file not in named]
    grave = {one.file for one in found if one.grave}
    for line in in_lines(one for one in found if one.file in grave):
        yield PageNote("✗", f"The run folder is damaged: {line}.")
    for line in in_lines(one for one in found if one.file not in grave):
        yield PageNote("⚠", f"{line[0].upper()}{line[1:]}.")
    for text in disagreements(run):
        yield PageNote("✗", text)


def _records(run: RecordedRun) -> Iterator[PageNote]:
    for text in run.unreadable:
        yield PageNote("✗", f"A record is damaged: {text}.")
    if run.train and run.train.best and run.best_row is None:
        yield PageNote(
            "✗",
            f"The history has no validation at step {run.train.best.step}, where the best checkpoint is said to be.",
        )


_KINDS: tuple[Callable[[RecordedRun], Iterator[PageNote]], ...] = (
    _sections,
    _damage,
    _records,
    _numbers,
    _checkpoint,
    _facts,
    _digest,
    _card,
    _data_match,
    _targets,
    _rules,
    _attempts,
    _events,
    _trackers,
    _code,
)


@dataclass(frozen=True, kw_only=True)
class EventFacts:
    """What `events.md.j2` shows."""

    table: Table | None
    incidents: Table | None
    """What happened before the run and shaped its card."""


def event_facts(run: RecordedRun) -> EventFacts:
    """Collect what the section "Events" shows."""
    rows = [
        (when(event.at), event.event.replace("_", " "), _optional(event.attempt), text)
        for event in run.events
        if (text := event.text_for(Audience.RESULTS))
    ]
    incidents = tuple((incident.date.isoformat(), incident.what) for incident in run.card.incidents)
    return EventFacts(
        table=Table(("When", "Event", "Attempt", "What"), "llrl", tuple(rows)) if rows else None,
        incidents=Table(("Date", "What"), "ll", incidents) if incidents else None,
    )


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


_WORDS: Mapping[str, Cell] = {
    "on": "still open when this page was made",
    "ended": "tracked to the end",
    "failed": Strong("⚠ did not track"),
    "lost": Strong("⚠ stopped on the way"),
    "cut": Strong("⚠ cut off while closing"),
}


@dataclass(frozen=True, kw_only=True)
class TrackingFacts:
    """What `tracking.md.j2` shows."""

    table: Table
    later: tuple[Code, ...]
    """Commands that send what was kept offline."""


def tracking_facts(run: RecordedRun) -> TrackingFacts:
    """Collect what the section "Tracking" shows."""
    told = {state.name: state for state in tracker_states(run.events)}
    rows: list[tuple[Cell, ...]] = [
        ("history", "always", Code("history.jsonl"), f"{len(run.rows):,} rows", "the source of this page")
    ]
    rows += [_row(name, told.get(name), run.folder.root) for name in run.card.infra.tracking.wanted]
    return TrackingFacts(
        table=Table(("Tracker", "Mode", "Where", "Ended", "What it said"), "lllll", tuple(rows)),
        later=tuple(Code(state.later) for state in told.values() if state.later),
    )


def untracked(run: RecordedRun) -> tuple[tuple[str, str], ...]:
    """Trackers of the card that did not track the run to its end, each with the reason."""
    told = {state.name: state for state in tracker_states(run.events)}
    found = []
    for name in run.card.infra.tracking.wanted:
        state = told.get(name)
        if state is None and run.attempts:
            found.append((name, "it never reported"))
        elif state is not None and state.trouble:
            found.append((name, str(state.message)))
    return tuple(found)


def _row(name: str, state: TrackerState | None, root: Path) -> tuple[Cell, ...]:
    if state is None:
        return (name, None, None, Strong("⚠ never reported"), None)
    where = Code(state.where.removeprefix(f"{root}/")) if state.where else None
    said = state.message or (f"id {state.id}" if state.id else None)
    return (name, state.mode, where, _WORDS.get(state.state, state.state), said)
