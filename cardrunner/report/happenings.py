"""What happened on the way: warnings, verdicts, restarts, acknowledgements, failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Cell, Code, Strong, Table, when
from cardrunner.report.thresholds import overrun_sentence, sentence
from cardrunner.runs.ledger import Event
from cardrunner.runs.outcome import overdue_sentence
from cardrunner.runs.status import tracker_states
from cardrunner.text import listed

_TOLD: dict[str, Callable[[Event], str | None]] = {
    "warning": lambda event: str(event.get("message")),
    "verdict": sentence,
    "retried": lambda event: f"started again, {event.get('retry')} of {event.get('of')}: {event.get('reason')}",
    "tracker": lambda event: (
        f"{event.get('name')}: {event.get('state')}: {event.get('message')}"
        if event.get("state") in ("failed", "lost", "cut")
        else None
    ),
    "projected_overrun": overrun_sentence,
    "overdue": overdue_sentence,
    "restarted": lambda event: f"{event.get('reason')}; went on with {_changes(event)}",
    "acknowledged": lambda event: str(event.get("text")),
    "note": lambda event: str(event.get("text") or event.get("message") or ""),
    "finished": lambda event: event.get("problem"),
    "resumed": lambda event: _origin(event),
    "stage_ended": lambda event: (
        None if event.get("ok") else f"the {event.get('stage')} stage ended with: {event.get('error')}"
    ),
    "attempt_ended": lambda event: (
        None if event.get("state") == "completed" else f"{event.get('state')}: {event.get('reason')}"
    ),
}


@dataclass(frozen=True, kw_only=True)
class EventFacts:
    """The section."""

    table: Table | None
    incidents: Table | None
    """What happened before the run and shaped its card."""


def event_facts(run: Recorded) -> EventFacts:
    """The rows of the section."""
    rows: list[tuple[Cell, ...]] = []
    for event in run.events:
        name = str(event.get("event"))
        text = _TOLD[name](event) if name in _TOLD else None
        if text:
            rows.append((when(str(event.get("at"))), name.replace("_", " "), _optional(event.get("attempt")), text))
    incidents = tuple((incident.date.isoformat(), incident.what) for incident in run.card.incidents)
    return EventFacts(
        table=Table(("When", "Event", "Attempt", "What"), "llrl", tuple(rows)) if rows else None,
        incidents=Table(("Date", "What"), "ll", incidents) if incidents else None,
    )


def _changes(event: Event) -> str:
    changes = event.get("set")
    return (
        listed(f"{path} = {value}" for path, value in changes.items())
        if isinstance(changes, dict)
        else "nothing changed"
    )


def _origin(event: Event) -> str:
    return f"went on from {event.get('file')}, epoch {event.get('epoch')}, step {event.get('step')}"


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


_WORDS: Mapping[str, Cell] = {
    "on": "had not closed when this page was made",
    "ended": "told to the end",
    "failed": Strong("⚠ did not track"),
    "lost": Strong("⚠ stopped on the way"),
    "cut": Strong("⚠ cut off while closing"),
}


@dataclass(frozen=True, kw_only=True)
class TrackingFacts:
    """The section."""

    table: Table
    later: tuple[Code, ...]
    """Commands that send what was kept offline."""


def tracking_facts(run: Recorded) -> TrackingFacts:
    """The rows of the section."""
    told = {str(state["name"]): state for state in tracker_states(run.events)}
    rows: list[tuple[Cell, ...]] = [
        ("history", "always", Code("history.jsonl"), f"{len(run.rows):,} rows", "what everything here is made from")
    ]
    rows += [_row(name, told.get(name), run.folder.root) for name in run.card.infra.tracking.wanted]
    return TrackingFacts(
        table=Table(("Tracker", "Mode", "Where", "Ended", "What it said"), "lllll", tuple(rows)),
        later=tuple(Code(str(state["later"])) for state in told.values() if state.get("later")),
    )


def untracked(run: Recorded) -> tuple[tuple[str, str], ...]:
    """Trackers that the card asks for and that did not watch to the end, each with why."""
    told = {str(state["name"]): state for state in tracker_states(run.events)}
    found = []
    for name in run.card.infra.tracking.wanted:
        state = told.get(name)
        if state is None and run.attempts:
            found.append((name, "it never said anything"))
        elif state is not None and state["state"] in ("failed", "lost", "cut"):
            found.append((name, str(state.get("message"))))
    return tuple(found)


def _row(name: str, state: Mapping[str, Any] | None, root: Path) -> tuple[Cell, ...]:
    if state is None:
        return (name, None, None, Strong("⚠ never heard of"), None)
    where = Code(str(state["where"]).removeprefix(f"{root}/")) if state.get("where") else None
    ended = _WORDS.get(str(state["state"]), str(state["state"]))
    said = state.get("message") or (f"id {state['id']}" if state.get("id") else None)
    return (name, state.get("mode"), where, ended, said)
