"""The content that is judged, the words the gate uses for it, and the time at which it is judged.

A clock that runs behind makes expired approvals look valid; the times that were recorded show it.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.common.clock import parse_timestamp, timestamp
from cardrunner.gate.findings import Finding
from cardrunner.gate.trust import Trust


@dataclass(frozen=True, kw_only=True)
class Case:
    """One card before the gate.

    Args:
        file: the card's path as people write it in a command.
        records: the folders of signed contents and blocks; new ones go to the first.
        now: the current time, with its zone; for a run that was admitted, the time of that.
        trust: the workspace's rules and keys.
        admitted: it was admitted then. Its approvals do not expire any more, and blocks are judged with the run.
    """

    file: str
    card: Card
    digest: str
    records: tuple[Path, ...]
    now: datetime.datetime
    trust: Trust
    admitted: bool = False

    @property
    def expires(self) -> float | None:
        """How many seconds an approval is valid: the card's limit or the workspace's, whichever is shorter."""
        limits = () if self.admitted else (self.card.sign_off.expires, self.trust.expires)
        return min((limit for limit in limits if limit is not None), default=None)

    def command(self, *words: str) -> str:
        """A cardrunner command about this card, ready for a shell: ``case.command("sign", "--as", "scav")``."""
        name, *rest = words
        return shlex.join(["cardrunner", name, self.file, *rest])


def reviewer_label(reviewer: Reviewer) -> str:
    """``reviewer scav (Scav)``."""
    return f"reviewer {reviewer.id}" + (f" ({reviewer.name})" if reviewer.name else "")


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
