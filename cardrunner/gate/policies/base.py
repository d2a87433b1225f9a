"""What a sign-off policy decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardrunner.card.digest import Change
from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.clock import parse_timestamp, timestamp
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.clock import CLOCK_TOLERANCE
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.records import changes_since
from cardrunner.gate.ssh.signature import statement_bytes
from cardrunner.units import format_duration


@dataclass(frozen=True)
class Refused:
    """A mark that does not count.

    Args:
        finding: why, and what to do.
        blocks: it closes the gate even if the reviewer is not required.
    """

    finding: Finding
    blocks: bool = False


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """The key that a reviewer signs with.

    Args:
        file: the file of the key; None for any key that an SSH agent holds.
        prompt: called with what the person at the keyboard has to do.
    """

    file: Path | None = None
    prompt: Callable[[str], object] = lambda _: None


Judgement = Approval | Refused | None
"""None: the reviewer has not signed."""


class Policy(Protocol):
    """How a reviewer's mark in the card is judged and made. One file per policy; the table is in `policies`."""

    name: str
    remark: str | None  # a caution for those who rely on it, printed at each signing
    takes_key: bool  # it signs with a key
    keeps_content: bool  # a signature is bound to content, which is kept to show later changes

    def judge(
        self, reviewer: Reviewer, case: Case
    ) -> Judgement: ...  # raises nothing; anything it cannot accept is Refused
    def prepare(
        self, statement: Signature, reviewer: Reviewer, case: Case
    ) -> None: ...  # raises what `mark` is certain to raise
    def mark(
        self, statement: Signature, reviewer: Reviewer, case: Case, key: SigningKey
    ) -> Any: ...  # plain JSON for `signed:`; raises UsageError for what it cannot express, GateClosed


_SHOWN_CHANGES = 4


def judge_statement(reviewer: Reviewer, statement: Signature, case: Case, *, policy: str) -> Judgement:
    """Decide whether a signature approves exactly this content, here and now.

    A block counts regardless of what was signed and when: only its author lifts it.
    """
    if statement.verdict == "block":
        return Refused(_refusal(reviewer, case, _block_reason(statement, case), sign="to lift it"), blocks=True)
    reason = _impossible_time(statement, case) or _other_content(statement, case) or _expired(statement, case)
    if reason:
        return Refused(_refusal(reviewer, case, reason, sign="to sign what it is now"))
    return Approval(
        id=reviewer.id,
        policy=policy,
        digest=statement.digest,
        at=statement.at,
        note=statement.note,
        conditions=statement.conditions,
        met=tuple(tick.model_dump(mode="json", exclude_none=True) for tick in statement.met),
        statement=said(statement, reviewer, case),
    )


def said(statement: Signature, reviewer: Reviewer, case: Case) -> bytes:
    """A reviewer's statement about this card, in its canonical form."""
    return statement_bytes(statement, run=case.card.name, reviewer=reviewer.id, card_format=case.card.card)


def statement_json(statement: Signature) -> dict[str, Any]:
    """A statement as written in a card."""
    return statement.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def describe_changes(changes: Sequence[Change], *, limit: int = _SHOWN_CHANGES) -> str:
    """The first changes in one line: ``training.epochs: 5 -> 6; ...``."""
    shown = "; ".join(_shortened(str(change)) for change in changes[:limit])
    return shown + (f"; and {len(changes) - limit} more" if len(changes) > limit else "")


def _refusal(reviewer: Reviewer, case: Case, reason: str, *, sign: str) -> Finding:
    why = f"{reason}; only {reviewer.id} can sign again {sign}"
    return Finding(reviewer_label(reviewer), why, case.command("sign", "--as", reviewer.id))


def _block_reason(statement: Signature, case: Case) -> str:
    note = f' ("{statement.note}")' if statement.note else ""
    changed = "" if statement.digest == case.digest else f"; the card has changed since: {_since(statement, case)}"
    return f"blocks the launch{note}{changed}"


def _impossible_time(statement: Signature, case: Case) -> str | None:
    try:
        signed = parse_timestamp(statement.at)
    except ValueError as error:
        return f"the signature's time {statement.at!r} is not a valid time ({error})"
    if signed > case.now + CLOCK_TOLERANCE:
        return f"the signature is dated in the future ({statement.at}, and it is {timestamp(case.now)} here)"
    return None


def _expired(statement: Signature, case: Case) -> str | None:
    limit = case.expires
    if limit is None or (case.now - parse_timestamp(statement.at)).total_seconds() <= limit:
        return None
    return f"the approval of {statement.at} has expired: approvals count for {format_duration(limit)}"


def _other_content(statement: Signature, case: Case) -> str | None:
    if statement.digest == case.digest:
        return None
    return f"signed different content ({statement.digest[:12]}, now {case.digest[:12]}): {_since(statement, case)}"


def _since(statement: Signature, case: Case) -> str:
    changes = changes_since(case.records, statement.digest, case.card)
    if changes is None:
        return f"what changed is unknown, because the signed content is not in {case.records.name}/signed"
    return describe_changes(changes) or "the same values under a different format version"


def _shortened(text: str, limit: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 3]}..."
