"""The approvals of this content, as check boxes. They are for reading; the gate decides whether the run may start."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.card.load import LoadedCard
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import ApprovalRule, Reviewer, Signature
from cardrunner.common.text import plural
from cardrunner.common.units import format_dollars, format_duration


@dataclass(frozen=True)
class CheckBox:
    """A line of the sign-off with its tick."""

    ticked: bool
    text: str


def boxes(loaded: LoadedCard) -> list[CheckBox]:
    """One box per reviewer, ticked if the reviewer approved exactly this content."""
    return [_box(loaded, reviewer) for reviewer in loaded.card.sign_off.reviewers]


def status(loaded: LoadedCard) -> str:
    """The state of the review, derived from the signatures."""
    sign_off = loaded.card.sign_off
    required = [reviewer for reviewer in sign_off.reviewers if reviewer.required]
    agreed = sum(_box(loaded, reviewer).ticked for reviewer in required)
    needed = len(required) if sign_off.need == "all" else sign_off.need
    word = "REVIEWED" if agreed >= needed else "PENDING REVIEW"
    enough = "" if needed == len(required) else f", {needed} are needed"
    return f"{word} ({agreed} of {len(required)} required reviewers agreed to this content{enough})"


def demands(card: Card) -> list[str]:
    """The requirements of the sign-off in addition to the required reviewers' boxes."""
    sign_off = card.sign_off
    lines = [] if sign_off.need == "all" else [f"Needs {sign_off.need} of the required reviewers"]
    lines += [_demand(rule) for rule in sign_off.rules]
    if sign_off.expires is not None:
        lines.append(f"Approvals count for {format_duration(sign_off.expires)}")
    return lines


def _demand(rule: ApprovalRule) -> str:
    whose = f" of {', '.join(rule.of)}" if rule.of else f" of role {rule.role}" if rule.role else ""
    over = "" if rule.over is None else f", where the run may cost more than {format_dollars(rule.over)}"
    gpu = f", where the GPU is {' or '.join(rule.gpu)}" if rule.gpu else ""
    return f"Needs {plural(rule.need, 'approval')}{whose}{over}{gpu}"


def _box(loaded: LoadedCard, reviewer: Reviewer) -> CheckBox:
    name = f"{reviewer.name} ({reviewer.id})" if reviewer.name else reviewer.id
    apart = [*reviewer.roles, *([] if reviewer.required else ["not required"])]
    name = f"{name}, {', '.join(apart)}," if apart else name
    if isinstance(reviewer.signed, Signature):
        return _signature(loaded.digest, name, reviewer.signed)
    ticked = loaded.card.sign_off.policy == "boxes" and reviewer.signed is True
    return CheckBox(ticked, f"{name} reviewed")


def _signature(digest: str, name: str, signed: Signature) -> CheckBox:
    if signed.digest != digest:
        return CheckBox(False, f"{name} reviewed another content of this card on {signed.at}")
    verb = "approved" if signed.verdict == "approve" else "blocked"
    met = {condition.condition for condition in signed.met}
    open_items = [item for item in signed.conditions if item not in met]
    rest = f", on condition: {'; '.join(open_items)}" if open_items else ""
    note = f" ({signed.note})" if signed.note else ""
    ticked = signed.verdict == "approve" and not open_items
    return CheckBox(ticked, f"{name} {verb} this content on {signed.at}{rest}{note}")
