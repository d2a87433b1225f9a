"""What happened during the run: warnings, verdicts, restarts, acknowledgements, failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong, Table, when
from cardrunner.runs.attempts import TrackerState, tracker_states
from cardrunner.runs.event_model import Audience


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
