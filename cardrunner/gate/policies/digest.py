"""policy: digest. A signature is bound to the card's content; anyone who can edit the card can write one."""

from __future__ import annotations

from typing import Any

from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.findings import Finding
from cardrunner.gate.policies.base import Judgement, Refused, SigningKey, judge_statement, statement_json


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
