"""Who watched: the trackers that the card asks for, and what each of them said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardrunner.report.recorded import Recorded
from cardrunner.report.table import Cell, Code, Strong, Table
from cardrunner.runs.status import tracker_states

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
