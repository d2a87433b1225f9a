"""The sign-off policies: how each judges and makes signatures. A policy is a class and a row of `POLICIES`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardrunner.card.digest import Change
from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.common.clock import parse_timestamp, timestamp
from cardrunner.common.units import format_duration
from cardrunner.errors import GateClosed, UsageError
from cardrunner.gate.case import CLOCK_TOLERANCE, Case, reviewer_label
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.records import changes_since
from cardrunner.gate.ssh import parse_signature, sign_statement, verify_statement
from cardrunner.gate.ssh.allowed_signers import FILE_NAME, HOW_TO_LIST
from cardrunner.gate.ssh.signature import statement_bytes


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
    """How a reviewer's mark in the card is judged and made. The table is `POLICIES`."""

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
        place = f"in {case.records[0].name}/signed" if case.records else "known here"
        return f"what changed is unknown, because the signed content is not {place}"
    return describe_changes(changes) or "the same values under a different format version"


def _shortened(text: str, limit: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 3]}..."


class BoxesPolicy:
    """Approval by a plain tick, ``signed: true``."""

    name = "boxes"
    remark: str | None = (
        "policy boxes does not bind the tick to the content: it stays when the card changes, "
        "and anyone who can edit the card can set it"
    )
    takes_key = False
    keeps_content = False

    def judge(self, reviewer: Reviewer, case: Case) -> Judgement:
        """Accept a tick; a full signature left from a stricter policy still has to fit the content."""
        if isinstance(reviewer.signed, Signature):
            return judge_statement(reviewer, reviewer.signed, case, policy=self.name)
        if reviewer.signed and case.expires is not None:
            why = "the tick has no time, and approvals expire here"
            return Refused(Finding(reviewer_label(reviewer), f"{why}; let the card use policy: digest or ssh"))
        return Approval(id=reviewer.id, policy=self.name) if reviewer.signed else None

    def prepare(self, statement: Signature, reviewer: Reviewer, case: Case) -> None:  # noqa: ARG002 - the protocol's
        """Refuse what a tick cannot express.

        Raises:
            UsageError: the verdict needs more than a tick.
        """
        if statement.verdict != "approve" or statement.note or statement.conditions:
            raise UsageError(
                f"{case.file}: sign_off.policy boxes is a plain tick without verdict, note or conditions; "
                "leave the box open to block, or let the card use policy: digest"
            )

    def mark(self, statement: Signature, reviewer: Reviewer, case: Case, key: SigningKey) -> Any:  # noqa: ARG002
        """A plain tick."""
        self.prepare(statement, reviewer, case)
        return True


class DigestPolicy:
    """Approval by a signature that names the digest of the card's content."""

    name = "digest"
    remark: str | None = (
        "policy digest binds a signature to the card's content but does not authenticate the signer: "
        "anyone who can edit the card can write one"
    )
    takes_key = False
    keeps_content = True

    def judge(self, reviewer: Reviewer, case: Case) -> Judgement:
        """Accept a signature over exactly this content."""
        if isinstance(reviewer.signed, Signature):
            return judge_statement(reviewer, reviewer.signed, case, policy=self.name)
        if reviewer.signed:
            why = "a bare `signed: true` is not bound to the content and does not count under policy digest"
            return Refused(Finding(reviewer_label(reviewer), why, case.command("sign", "--as", reviewer.id)))
        return None

    def prepare(self, statement: Signature, reviewer: Reviewer, case: Case) -> None:
        """Every statement can be expressed."""

    def mark(self, statement: Signature, reviewer: Reviewer, case: Case, key: SigningKey) -> Any:  # noqa: ARG002
        """The signature as written in the card."""
        return statement_json(statement)


class SshPolicy:
    """Approval by an SSH signature over the reviewer's statement."""

    name = "ssh"
    remark: str | None = None
    takes_key = True
    keeps_content = True

    def judge(self, reviewer: Reviewer, case: Case) -> Judgement:
        """Accept a signature over exactly this content by a key that counts for the reviewer, now.

        A block counts even without a valid signature: a false block costs a question, a missed one a run.
        """
        if not isinstance(reviewer.signed, Signature):
            return self._refused(reviewer, case, "a bare `signed: true` is not signed") if reviewer.signed else None
        judgement = judge_statement(reviewer, reviewer.signed, case, policy=self.name)
        if not isinstance(judgement, Approval):
            return judgement
        armored = reviewer.signed.ssh
        if armored is None:
            return self._refused(reviewer, case, "the signature was not made with a key")
        statement = said(reviewer.signed, reviewer, case)
        reason = verify_statement(statement, armored, reviewer=reviewer.id, signers=case.trust.signers, at=case.now)
        if reason:
            return self._refused(reviewer, case, reason)
        return dataclasses.replace(judgement, ssh=armored, fingerprint=parse_signature(armored).key.fingerprint)

    def prepare(self, statement: Signature, reviewer: Reviewer, case: Case) -> None:  # noqa: ARG002 - the protocol's
        """Refuse to ask a reviewer whose key would not count.

        Raises:
            GateClosed: `allowed_signers` has faults, or no key for the reviewer.
        """
        signers = case.trust.signers
        if signers.faults:
            raise GateClosed(signers.faults)
        if not signers.of(reviewer.id):
            raise GateClosed((Finding(reviewer_label(reviewer), f"{FILE_NAME} lists no key for them; {HOW_TO_LIST}"),))

    def mark(self, statement: Signature, reviewer: Reviewer, case: Case, key: SigningKey) -> Any:
        """The signature as written in the card, with the key's signature block.

        Raises:
            UsageError, GateClosed, EnvironmentFailed: as `cardrunner.gate.ssh.sign_statement`.
        """
        armored = sign_statement(
            said(statement, reviewer, case),
            reviewer=reviewer.id,
            signers=case.trust.signers,
            at=case.now,
            key=key.file,
            say=key.prompt,
        )
        return statement_json(statement) | {"ssh": armored.strip()}

    def _refused(self, reviewer: Reviewer, case: Case, why: str) -> Refused:
        return Refused(Finding(reviewer_label(reviewer), why, case.command("sign", "--as", reviewer.id)))


POLICIES: dict[str, Policy] = {policy.name: policy for policy in (BoxesPolicy(), DigestPolicy(), SshPolicy())}

__all__ = ["POLICIES", "Judgement", "Policy", "Refused", "SigningKey"]
