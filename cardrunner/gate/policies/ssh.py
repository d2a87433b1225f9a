"""policy: ssh. A signature made with a reviewer's own key."""

from __future__ import annotations

from typing import Any

from cardrunner.card.schema.sign_off import Reviewer, Signature
from cardrunner.errors import GateClosed
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.findings import Finding
from cardrunner.gate.policies.base import Judgement, Refused

_WHY = (
    "policy ssh is not available in this version of cardrunner, so no signature can be verified; the gate stays closed"
)


class SshPolicy:
    """See `cardrunner.gate.policies.base.Policy`."""

    name = "ssh"
    remark: str | None = None
    keeps_content = True

    def judge(self, reviewer: Reviewer, case: Case) -> Judgement:  # noqa: ARG002 - part of the protocol
        """Refuse everything: what cannot be verified does not count."""
        return Refused(Finding(reviewer_label(reviewer), _WHY), blocks=True)

    def mark(self, statement: Signature, case: Case) -> Any:  # noqa: ARG002 - part of the protocol
        """Refuse to write a signature that nothing would verify.

        Raises:
            GateClosed: always.
        """
        raise GateClosed((Finding(f"{case.file}: sign_off.policy", _WHY),))
