"""What a sign-off policy decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.gate.case import Case
from cardrunner.gate.findings import Approval, Finding


@dataclass(frozen=True)
class Refused:
    """A mark that does not count.

    Args:
        finding: why, and what to do.
        blocks: it closes the gate even where the reviewer is not required.
    """

    finding: Finding
    blocks: bool = False


@dataclass(frozen=True, kw_only=True)
class Hand:
    """What somebody signs with.

    Args:
        key: the file of their key; None for whatever an agent holds.
        say: is told what the person at the keyboard has to do.
    """

    key: Path | None = None
    say: Callable[[str], object] = lambda _: None


Judgement = Approval | Refused | None
"""None: the reviewer has not signed."""


class Policy(Protocol):
    """How a reviewer's mark in the card is judged and made. One file per policy; the table is in `policies`."""

    name: str
    remark: str | None  # what everybody who relies on it must know, said at each signing
    takes_key: bool  # it signs with a key
    keeps_content: bool  # a signature is bound to content, which is kept so that changes can be shown

    def judge(
        self, reviewer: Reviewer, case: Case
    ) -> Judgement: ...  # raises nothing; whatever it cannot accept is Refused
    def prepare(
        self, statement: Signature, reviewer: Reviewer, case: Case
    ) -> None: ...  # raises what `mark` surely would
    def mark(
        self, statement: Signature, reviewer: Reviewer, case: Case, hand: Hand
    ) -> Any: ...  # plain JSON for `signed:`; raises UsageError for what it cannot express, GateClosed
