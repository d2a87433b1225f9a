"""Who has to agree, and who does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cardrunner.card.schema.sign_off import Reviewer
from cardrunner.gate.blocks import standing_blocks
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.checklist import open_conditions
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.floor import FILE_NAME, POLICIES as STRICTNESS
from cardrunner.gate.policies import POLICIES, Judgement, Refused
from cardrunner.gate.rules import Demand, demands, unmet


@dataclass(frozen=True)
class SignOffReport:
    """The sign-off of one card: what is missing, and every approval that counts."""

    findings: tuple[Finding, ...]
    approvals: tuple[Approval, ...]


def examine_sign_off(case: Case) -> SignOffReport:
    """Judge every reviewer's mark under the card's policy, then count."""
    policy = POLICIES[case.card.sign_off.policy]
    judged = _one_key_each([(reviewer, policy.judge(reviewer, case)) for reviewer in case.card.sign_off.reviewers])
    approvals = tuple(judgement for _, judgement in judged if isinstance(judgement, Approval))
    findings = [*_below_the_floor(case), *_missing(judged, approvals, case), *standing_blocks(case)]
    findings += [finding for approval in approvals for finding in open_conditions(approval, case)]
    return SignOffReport(tuple(findings), approvals)


Judged = Sequence[tuple[Reviewer, Judgement]]


def _one_key_each(judged: Judged) -> list[tuple[Reviewer, Judgement]]:
    """Let each key count once, whatever names it signs under."""
    owners: dict[str, str] = {}
    result: list[tuple[Reviewer, Judgement]] = []
    for reviewer, judgement in judged:
        if isinstance(judgement, Approval):
            owner = owners.setdefault(judgement.person, reviewer.id)
            if owner != reviewer.id:
                why = f"signed with the key that {owner} signed with; keys count, not names"
                judgement = Refused(Finding(reviewer_label(reviewer), why))
        result.append((reviewer, judgement))
    return result


def _below_the_floor(case: Case) -> Iterator[Finding]:
    """Where a card asks for less than its workspace does."""
    floor, card = case.trust.floor, case.card
    for fault in floor.faults:
        yield Finding(f"{fault.file}:{fault.line}:{fault.column}", ": ".join(filter(None, (fault.path, fault.message))))
    asked, has = floor.sign_off.policy, card.sign_off.policy
    if STRICTNESS.index(has) < STRICTNESS.index(asked):
        why = f"is {has}, and {FILE_NAME} asks for {asked}; write policy: {asked} and have it signed"
        yield Finding("sign_off.policy", why)
    if floor.sign_off.author == "named" and card.author is None:
        yield Finding("author", f"is missing, and {FILE_NAME} asks for it; say who wrote the card")


def _missing(judged: Judged, approvals: Sequence[Approval], case: Case) -> Iterator[Finding]:
    """Blocks, then what is missing: each required reviewer, or where they are counted each demand that is not met."""
    counted = [demand for demand in demands(case) if unmet(demand, approvals, case)]
    for reviewer, judgement in judged:
        if finding := _finding(reviewer, judgement, counted, case):
            yield finding
    yield from (finding for demand in counted if (finding := unmet(demand, approvals, case)))


def _finding(reviewer: Reviewer, judgement: Judgement, counted: Sequence[Demand], case: Case) -> Finding | None:
    needed = reviewer.required and case.card.sign_off.need == "all"
    if isinstance(judgement, Refused):
        asked = needed or any(reviewer.id in demand.people for demand in counted)
        return judgement.finding if asked or judgement.blocks else None
    if judgement is None and needed:
        return Finding(reviewer_label(reviewer), "has not signed", case.command("sign", "--as", reviewer.id))
    return None
