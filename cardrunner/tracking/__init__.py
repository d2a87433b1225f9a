"""Who is told how a run goes: people at a terminal, and trackers in processes of their own."""

from __future__ import annotations

from cardrunner.card.schema.card import Card


def wanted_trackers(card: Card) -> tuple[str, ...]:
    """The names of the trackers that a card asks for, beside the run's own history."""
    tracking = card.infra.tracking
    return tuple(name for name in type(tracking).model_fields if getattr(tracking, name))
