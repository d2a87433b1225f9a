"""Who has agreed to this content, as boxes. The page shows it; whether the run may start is the gate's to say."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.card.load import LoadedCard
from cardrunner.card.schema.sign_off import Reviewer, Signature


@dataclass(frozen=True)
class Box:
    """A line of the sign-off."""

    ticked: bool
    text: str


def boxes(loaded: LoadedCard) -> list[Box]:
    """One box per reviewer; ticked only for this content."""
    return [_box(loaded, reviewer) for reviewer in loaded.card.sign_off.reviewers]


def status(loaded: LoadedCard) -> str:
    """How far the review is. Derived from the signatures; nobody types it."""
    required = [reviewer for reviewer in loaded.card.sign_off.reviewers if reviewer.required]
    agreed = sum(_box(loaded, reviewer).ticked for reviewer in required)
    word = "REVIEWED" if agreed == len(required) else "PENDING REVIEW"
    return f"{word} ({agreed} of {len(required)} required reviewers agreed to this content)"


def _box(loaded: LoadedCard, reviewer: Reviewer) -> Box:
    name = f"{reviewer.name} ({reviewer.id})" if reviewer.name else reviewer.id
    name = name if reviewer.required else f"{name}, not required,"
    if isinstance(reviewer.signed, Signature):
        return _signature(loaded.digest, name, reviewer.signed)
    ticked = loaded.card.sign_off.policy == "boxes" and reviewer.signed is True
    return Box(ticked, f"{name} reviewed")


def _signature(digest: str, name: str, signed: Signature) -> Box:
    if signed.digest != digest:
        return Box(False, f"{name} reviewed another content of this card on {signed.at}")
    verb = "approved" if signed.verdict == "approve" else "blocked"
    met = {condition.condition for condition in signed.met}
    open_items = [item for item in signed.conditions if item not in met]
    rest = f", on condition: {'; '.join(open_items)}" if open_items else ""
    note = f" ({signed.note})" if signed.note else ""
    ticked = signed.verdict == "approve" and not open_items
    return Box(ticked, f"{name} {verb} this content on {signed.at}{rest}{note}")
