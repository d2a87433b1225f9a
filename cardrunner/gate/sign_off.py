"""Who has to agree, and who does."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.card.schema.sign_off import Reviewer
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.checklist import open_conditions
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.policies import POLICIES, Judgement, Refused


@dataclass(frozen=True)
class SignOffReport:
    """The sign-off of one card: what is missing, and every approval that counts."""

    findings: tuple[Finding, ...]
    approvals: tuple[Approval, ...]


def examine_sign_off(case: Case) -> SignOffReport:
    """Judge every reviewer's mark under the card's policy."""
    policy = POLICIES[case.card.sign_off.policy]
    judged = [(reviewer, policy.judge(reviewer, case)) for reviewer in case.card.sign_off.reviewers]
    approvals = tuple(judgement for _, judgement in judged if isinstance(judgement, Approval))
    findings = [finding for reviewer, judgement in judged if (finding := _finding(reviewer, judgement, case))]
    findings += [finding for approval in approvals for finding in open_conditions(approval, case)]
    return SignOffReport(tuple(findings), approvals)


def _finding(reviewer: Reviewer, judgement: Judgement, case: Case) -> Finding | None:
    if isinstance(judgement, Refused):
        return judgement.finding if reviewer.required or judgement.blocks else None
    if judgement is None and reviewer.required:
        return Finding(reviewer_label(reviewer), "has not signed", case.command("sign", "--as", reviewer.id))
    return None
