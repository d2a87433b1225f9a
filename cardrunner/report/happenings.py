"""What happened on the way: warnings, verdicts, restarts, acknowledgements, failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cardrunner.report.format import joined, when
from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Cell, Table
from cardrunner.report.thresholds import overrun_sentence, sentence
from cardrunner.runs.ledger import Event
from cardrunner.runs.overdue import overdue_sentence

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
        joined(f"{path} = {value}" for path, value in changes.items())
        if isinstance(changes, dict)
        else "nothing changed"
    )


def _origin(event: Event) -> str:
    return f"went on from {event.get('file')}, epoch {event.get('epoch')}, step {event.get('step')}"


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
