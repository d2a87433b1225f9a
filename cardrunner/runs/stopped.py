"""Did the card itself end the run? Then somebody has to say why it may go on."""

from __future__ import annotations

from collections.abc import Sequence

from cardrunner.runs.ledger import Event


def stopped_by_rule(events: Sequence[Event]) -> bool:
    """Whether the newest attempt was stopped by a kill threshold, or by what it was projected to cost or to take.

    Args:
        events: of a run, oldest first.
    """
    began = max((at for at, event in enumerate(events) if event.get("event") == "attempt_started"), default=0)
    last: Event | None = None
    told: list[Event] = []
    for event in events[began:]:
        match event.get("event"):
            case "attempt_ended":
                last = event
            case "restarted":
                told.clear()
            case "verdict" | "projected_overrun" if not event.get("moot"):
                told.append(event)
    ends = any(
        event.get("action") == "stop" or (event["event"] == "verdict" and event.get("action") == "restart")
        for event in told
    )
    return last is not None and last.get("state") == "stopped" and ends
