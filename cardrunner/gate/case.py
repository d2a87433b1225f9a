"""The content that is judged, and the words the gate uses for it."""

from __future__ import annotations

import datetime
import shlex
from dataclasses import dataclass
from pathlib import Path

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import Reviewer
from cardrunner.gate.trust import Trust


@dataclass(frozen=True, kw_only=True)
class Case:
    """One card before the gate.

    Args:
        file: the card's path as people write it in a command.
        records: the workspace's folder of signed contents.
        now: the current time, with its zone; for a resume the time of the launch.
        trust: the workspace's rules and keys.
    """

    file: str
    card: Card
    digest: str
    records: Path
    now: datetime.datetime
    trust: Trust

    @property
    def expires(self) -> float | None:
        """How many seconds an approval is valid: the card's limit or the workspace's, whichever is shorter."""
        limits = (self.card.sign_off.expires, self.trust.floor.sign_off.expires)
        return min((limit for limit in limits if limit is not None), default=None)

    def command(self, *words: str) -> str:
        """A cardrunner command about this card, ready for a shell: ``case.command("sign", "--as", "scav")``."""
        name, *rest = words
        return shlex.join(["cardrunner", name, self.file, *rest])


def reviewer_label(reviewer: Reviewer) -> str:
    """``reviewer scav (Scav)``."""
    return f"reviewer {reviewer.id}" + (f" ({reviewer.name})" if reviewer.name else "")
