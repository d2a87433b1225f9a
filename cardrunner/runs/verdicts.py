"""What a verdict in the ledger says to people."""

from __future__ import annotations

from collections.abc import Sequence

from cardrunner.kill_rules import Rule
from cardrunner.runs.ledger import Event


def verdict_sentence(event: Event) -> str:
    """The condition, then what was seen."""
    message, condition = str(event.get("message")), str(event.get("condition") or "")
    return message if message.startswith(condition) else f"{condition}: {message}"  # an event's message says it all


def verdict_line(event: Event, rules: Sequence[Rule]) -> str:
    """The action, the condition, what was seen, and what the card says the rule is for.

    Args:
        event: the verdict.
        rules: the kill thresholds of the card that it was given by.
    """
    number = event.get("rule")
    why = rules[number].why if isinstance(number, int) and number < len(rules) else None
    return f"{event.get('action')}: {verdict_sentence(event)}" + (f"; why: {why}" if why else "")
