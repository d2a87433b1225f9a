"""Whose approval a card needs, and who has given it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cardrunner.card.estimate import estimate
from cardrunner.card.platforms import platform_of
from cardrunner.card.prices import dearest_hour
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import ApprovalRule, Reviewer
from cardrunner.common.text import listed, plural
from cardrunner.common.units import cost_of_seconds, format_dollars
from cardrunner.gate.case import Case, reviewer_label
from cardrunner.gate.checklist import open_conditions
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.policies import POLICIES, Judgement, Refused
from cardrunner.gate.records import standing_blocks
from cardrunner.gate.trust import POLICIES as STRICTNESS

_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A number of approvals needed from different people.

    Args:
        where: what asks for them, such as ``sign_off.rules[0]``.
        people: whose approvals count.
        whose: the same in words, such as ``of role infra``.
        because: why it applies here; empty if it always applies.
    """

    where: str
    need: int
    people: tuple[str, ...]
    whose: str
    because: str = ""

    def met_by(self, approvals: Sequence[Approval]) -> int:
        """How many different people of the demand have approved; one key is one person, whatever its names."""
        return len({approval.person for approval in approvals if approval.id in self.people})


def demands(case: Case) -> Iterator[Demand]:
    """Everything that counts approvals: `need` where it is a number, and every rule that applies to this card."""
    card = case.card
    required = tuple(reviewer.id for reviewer in card.sign_off.reviewers if reviewer.required)
    if card.sign_off.need != "all":
        whose = f"of {listed(required, 'or')}"
        yield Demand(where="sign_off.need", need=card.sign_off.need, people=required, whose=whose)
    roles = {reviewer.id: reviewer.roles for reviewer in card.sign_off.reviewers}
    yield from _of_rules("sign_off.rules", card.sign_off.rules, roles, case)
    for floor in case.trust.floors:
        groups = floor.sign_off.roles
        given = {reviewer: tuple(role for role, people in groups.items() if reviewer in people) for reviewer in roles}
        yield from _of_rules(f"{floor.file}: sign_off.rules", floor.sign_off.rules, given, case)


def unmet(demand: Demand, approvals: Sequence[Approval], case: Case) -> Finding | None:
    """What is missing, and who can still give it; None if the demand is met."""
    have = demand.met_by(approvals)
    if have >= demand.need:
        return None
    signed = {approval.id for approval in approvals}
    silent = [name for name in demand.people if name not in signed]
    counted = f"{plural(demand.need, 'approval')} {demand.whose}{demand.because}"
    why = f"needs {counted}, and has {have}"
    if have + len(silent) < demand.need:
        return Finding(demand.where, f"{why}; the card does not ask enough of them: add them to sign_off.reviewers")
    commands = case.command("sign", "--as", silent[0]) if silent else None
    return Finding(
        demand.where, f"{why}; {listed(silent, 'or')} can give {'it' if len(silent) == 1 else 'them'}", commands
    )


def predicted_cost(card: Card) -> float | None:
    """Dollars at the slowest calibration that the card states, CPU and memory included; None if it is unknown.

    A run without a GPU on a machine of one's own costs nothing.
    """
    rate = dearest_hour(card.infra)
    if rate is not None:
        return cost_of_seconds(max(column.total for column in estimate(card)), hourly=rate)
    return 0.0 if platform_of(card.infra).free and card.infra.gpu is None else None


def _of_rules(
    where: str, rules: Sequence[ApprovalRule], roles: Mapping[str, tuple[str, ...]], case: Case
) -> Iterator[Demand]:
    for number, rule in enumerate(rules):
        because = _applies(rule, case.card)
        if because is not None:
            people = tuple(name for name, own in roles.items() if _counts(rule, name, own))
            yield Demand(where=f"{where}[{number}]", need=rule.need, people=people, whose=_whose(rule), because=because)


def _counts(rule: ApprovalRule, name: str, roles: tuple[str, ...]) -> bool:
    if rule.of:
        return name in rule.of
    return rule.role is None or rule.role in roles


def _whose(rule: ApprovalRule) -> str:
    if rule.of:
        return f"of {listed(rule.of, 'or')}"
    return f"of role {rule.role}" if rule.role else "of different people"


def _applies(rule: ApprovalRule, card: Card) -> str | None:
    """Why a rule applies to a card, empty when it always does; None when it does not."""
    if rule.over is not None:
        cost = predicted_cost(card)
        if cost is None:
            return f" (over {format_dollars(rule.over)}; what the run costs is unknown without infra.price)"
        return f" (it may cost {format_dollars(cost)}, over {format_dollars(rule.over)})" if cost > rule.over else None
    if rule.gpu:
        used = set(_words(card.infra.gpu or ""))
        named = next((gpu for gpu in rule.gpu if set(_words(gpu)) <= used), None)
        return None if named is None else f" (it uses a {named})"
    return ""


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


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
    blocks = () if case.admitted else standing_blocks(case)
    findings = [*_below_the_floor(case), *_missing(judged, approvals, case), *blocks]
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
    """Findings where a card asks for less than its workspace does."""
    floors, card = case.trust.floors, case.card
    for fault in (fault for floor in floors for fault in floor.faults):
        yield Finding(f"{fault.file}:{fault.line}:{fault.column}", ": ".join(filter(None, (fault.path, fault.message))))
    strictest = max(floors, key=lambda floor: STRICTNESS.index(floor.sign_off.policy), default=None)
    has = card.sign_off.policy
    if strictest and STRICTNESS.index(has) < STRICTNESS.index(asked := strictest.sign_off.policy):
        why = f"is {has}, and {strictest.file} asks for {asked}; write policy: {asked} and have it signed"
        yield Finding("sign_off.policy", why)
    named = next((floor for floor in floors if floor.sign_off.author == "named"), None)
    if named and card.author is None:
        yield Finding("author", f"is missing, and {named.file} requires it; state who wrote the card")


def _missing(judged: Judged, approvals: Sequence[Approval], case: Case) -> Iterator[Finding]:
    """Blocks, then what is missing: each required reviewer, or, where approvals are counted, each unmet demand."""
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
