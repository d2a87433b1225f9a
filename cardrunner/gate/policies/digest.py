"""policy: digest. A signature is bound to the card's content; anyone who can edit the card can write one."""

from __future__ import annotations

from typing import Any

from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.findings import Finding
from cardrunner.gate.policies.base import Hand, Judgement, Refused, judge_statement, statement_json


class DigestPolicy:
    """See `cardrunner.gate.policies.base.Policy`."""

    name = "digest"
    remark: str | None = (
        "policy digest binds a signature to the card's content but authenticates nobody: "
        "anyone who can edit the card can write one"
    )
    takes_key = False
    keeps_content = True

    def judge(self, reviewer: Reviewer, case: Case) -> Judgement:
        """Accept a signature over exactly this content."""
        if isinstance(reviewer.signed, Signature):
            return judge_statement(reviewer, reviewer.signed, case, policy=self.name)
        if reviewer.signed:
            why = "a bare `signed: true` is bound to nothing and does not count under policy digest"
            return Refused(Finding(reviewer_label(reviewer), why, case.command("sign", "--as", reviewer.id)))
        return None

    def prepare(self, statement: Signature, reviewer: Reviewer, case: Case) -> None:
        """Everything can be said."""

    def mark(self, statement: Signature, reviewer: Reviewer, case: Case, hand: Hand) -> Any:  # noqa: ARG002
        """The signature as it stands in the card."""
        return statement_json(statement)
