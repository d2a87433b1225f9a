"""A clock that runs behind makes expired approvals look valid; the times that were recorded show it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import Signature
from cardrunner.clock import parse_timestamp, timestamp
from cardrunner.gate.case import Case
from cardrunner.gate.findings import Finding

CLOCK_TOLERANCE = datetime.timedelta(minutes=5)
"""How far the clocks of two machines may be apart."""


def late_clock(case: Case) -> Iterator[Finding]:
    """A finding when the clock is behind what the card has recorded."""
    yield from behind(case.now, _times(case.card))


def behind(now: datetime.datetime, recorded: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """A finding when a clock is behind the latest of some recorded times.

    Args:
        now: what the clock says.
        recorded: what happened and when; a text that is not a valid time is ignored.
    """
    latest: tuple[datetime.datetime, str] | None = None
    for what, at in recorded:
        try:
            moment = parse_timestamp(at)
        except ValueError:
            continue
        latest = (moment, what) if latest is None or moment > latest[0] else latest
    if latest and latest[0] > now + CLOCK_TOLERANCE:
        why = f"it is {timestamp(now)} here, earlier than {latest[1]} of {latest[0].isoformat()}"
        yield Finding("clock", f"{why}; set this machine's clock, or correct that time")


def _times(card: Card) -> Iterator[tuple[str, str]]:
    for number, item in enumerate(card.checklist, start=1):
        if item.at:
            yield f"the tick of checklist {number}", item.at
    for reviewer in card.sign_off.reviewers:
        if isinstance(reviewer.signed, Signature):
            yield f"the signature of {reviewer.id}", reviewer.signed.at
            yield from ((f"a condition of {reviewer.id} that was met", met.at) for met in reviewer.signed.met)
