"""policy: boxes. A tick counts as it stands, whatever the card's content."""

from __future__ import annotations

from typing import Any

from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.errors import UsageError
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.policies.base import Judgement, Refused, SigningKey, judge_statement


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
