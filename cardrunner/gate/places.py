"""The boxes that can be ticked, and how one names them on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cardrunner.card.document import Loc
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import ChecklistItem, Signature
from cardrunner.errors import UsageError

_CONDITION = re.compile(r"condition:(?P<reviewer>[A-Za-z0-9._-]+):(?P<number>[0-9]{1,4})")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class ItemPlace:
    """A checklist item; `index` counts from 0."""

    index: int
    item: ChecklistItem

    @property
    def loc(self) -> Loc:
        """Where it stands in the card."""
        return ("checklist", self.index)

    @property
    def address(self) -> str:
        """How one names it: its number from 1."""
        return str(self.index + 1)

    @property
    def ticked(self) -> bool:
        """Whether the box is closed."""
        return self.item.done

    def __str__(self) -> str:
        return f"checklist {self.address} ({self.item.item})"


@dataclass(frozen=True)
class ConditionPlace:
    """A condition of a reviewer's approval; the reviewer's and the condition's index count from 0."""

    reviewer: int
    reviewer_id: str
    signature: Signature
    index: int

    @property
    def condition(self) -> str:
        """Its text."""
        return self.signature.conditions[self.index]

    @property
    def loc(self) -> Loc:
        """Where the signature's met conditions stand in the card."""
        return ("sign_off", "reviewers", self.reviewer, "signed", "met")

    @property
    def address(self) -> str:
        """How one names it: ``condition:scav:1``."""
        return f"condition:{self.reviewer_id}:{self.index + 1}"

    @property
    def ticked(self) -> bool:
        """Whether somebody says that it is met."""
        return any(met.condition == self.condition for met in self.signature.met)

    def __str__(self) -> str:
        return f"condition {self.index + 1} of {self.reviewer_id} ({self.condition})"


Place = ItemPlace | ConditionPlace


def checklist_places(card: Card) -> tuple[ItemPlace, ...]:
    """Every item of the checklist."""
    return tuple(ItemPlace(index, item) for index, item in enumerate(card.checklist))


def condition_places(card: Card, reviewer_id: str) -> tuple[ConditionPlace, ...]:
    """Every condition of a reviewer's signature."""
    return tuple(
        ConditionPlace(index, reviewer.id, reviewer.signed, number)
        for index, reviewer in enumerate(card.sign_off.reviewers)
        if reviewer.id == reviewer_id and isinstance(reviewer.signed, Signature)
        for number in range(len(reviewer.signed.conditions))
    )


def find_place(card: Card, address: str, *, file: str) -> Place:
    """Find what somebody means by an item: its number from 1, its text, a part of it, or ``condition:REVIEWER:NUMBER``.

    Raises:
        UsageError: nothing or more than one thing is meant.
    """
    if match := _CONDITION.fullmatch(address):
        return _condition(card, match["reviewer"], int(match["number"]), file=file)
    places = _matching(checklist_places(card), address)
    if len(places) == 1:
        return places[0]
    if places:
        several = ", ".join(place.address for place in places)
        raise UsageError(f"{file}: checklist: {address!r} fits the items {several}; give the number of one")
    raise UsageError(f"{file}: checklist: there is no item {address!r}; {_what_there_is(card)}")


def _matching(places: tuple[ItemPlace, ...], address: str) -> list[ItemPlace]:
    if _NUMBER.fullmatch(address):
        return [place for place in places if place.index + 1 == int(address)]
    wanted = address.strip().casefold()
    exact = [place for place in places if place.item.item.casefold() == wanted]
    return exact or [place for place in places if wanted and wanted in place.item.item.casefold()]


def _what_there_is(card: Card) -> str:
    if not card.checklist:
        return "the card has no checklist"
    return "; ".join(f"{place.address} is {place.item.item!r}" for place in checklist_places(card))


def _condition(card: Card, reviewer_id: str, number: int, *, file: str) -> ConditionPlace:
    places = condition_places(card, reviewer_id)
    if 1 <= number <= len(places):
        return places[number - 1]
    have = f"has {len(places)} conditions" if places else "is not there or has no conditions"
    raise UsageError(f"{file}: sign_off.reviewers: a signature of {reviewer_id} {have}; there is no condition {number}")
