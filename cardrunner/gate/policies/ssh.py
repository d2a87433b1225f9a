"""policy: ssh. A signature made with a reviewer's own key, over the statement that the card shows."""

from __future__ import annotations

import dataclasses
from typing import Any

from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.errors import GateClosed
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.policies.base import Judgement, Refused, SigningKey, judge_statement, said, statement_json
from cardrunner.gate.ssh import parse_signature, sign_statement, verify_statement
from cardrunner.gate.ssh.allowed_signers import FILE_NAME, HOW_TO_LIST


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
