"""What the gate finds: open boxes, and the report that carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One open box.

    Args:
        what: the box, such as ``checklist 2 (dataset reads tensors)``.
        why: what is wrong with it.
        command: the command that closes it; None if only an edit does.
    """

    what: str
    why: str
    command: str | None = None

    def __str__(self) -> str:
        line = f"{self.what}: {self.why}"
        return " ".join((f"{line}; run: {self.command}" if self.command else line).split())


@dataclass(frozen=True)
class Approval:
    """A verdict that counts for exactly this content.

    Args:
        id: the reviewer.
        policy: the policy that accepted it.
        digest: the digest that was signed; None for a plain box.
        at: when, as it was recorded; None for a plain box.
        conditions: what had to be done before the launch.
        met: who fulfilled which condition, as plain JSON.
        statement: exactly what was signed; None for a plain box.
        ssh: the armored signature over it; None for the other policies.
        fingerprint: the key that made it.
    """

    id: str
    policy: str
    digest: str | None = None
    at: str | None = None
    note: str | None = None
    conditions: tuple[str, ...] = ()
    met: tuple[Mapping[str, Any], ...] = ()
    statement: bytes | None = None
    ssh: str | None = None
    fingerprint: str | None = None

    @property
    def person(self) -> str:
        """The person, for counting: the key if there is one, so that one key under two names counts once."""
        return self.fingerprint or self.id.casefold()

    def as_json(self) -> dict[str, Any]:
        """The row of the run folder's ``approvals.json``."""
        return {
            "id": self.id,
            "digest": self.digest,
            "verdict": "approve",
            "at": self.at,
            "note": self.note,
            "conditions": list(self.conditions),
            "met": [dict(tick) for tick in self.met],
            "policy": self.policy,
            "statement": None if self.statement is None else self.statement.decode(),
            "ssh": self.ssh,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True)
class GateReport:
    """Whether a card may run.

    Args:
        findings: every open box; the gate is open when the list is empty.
        signed_by: reviewers whose approval counts, in the card's order.
        approvals: the same as plain JSON, with digest, time, note, conditions, and exactly what was signed.
        trust_files: the bytes of the workspace's rules and keys that were used, by file name.
        floors: the paths of the floors that applied, the workspace's own first.
    """

    findings: tuple[Finding, ...]
    signed_by: tuple[str, ...]
    approvals: tuple[Mapping[str, Any], ...]
    trust_files: Mapping[str, bytes] = field(default_factory=dict)
    floors: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """True when every box is closed."""
        return not self.findings
