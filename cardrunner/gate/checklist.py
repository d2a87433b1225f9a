"""What has to be done before the launch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from cardrunner.card.explain import sentence
from cardrunner.card.reading.document import Loc
from cardrunner.card.reading.edit import Edit, Removal
from cardrunner.card.schema.base import Identifier
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.sign_off import ChecklistItem, Signature
from cardrunner.errors import UsageError
from cardrunner.gate.case import Case
from cardrunner.gate.findings import Approval, Finding

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


PLACEHOLDER = "YOUR-ID"
"""Stands for an id in the commands that findings name."""


def open_items(case: Case) -> Iterator[Finding]:
    """Every item of the checklist that is not done."""
    yield from (open_box(place, case) for place in checklist_places(case.card) if not place.ticked)


def open_conditions(approval: Approval, case: Case) -> Iterator[Finding]:
    """The conditions of an approval that nobody has ticked yet."""
    yield from (open_box(place, case) for place in condition_places(case.card, approval.id) if not place.ticked)


def open_box(place: Place, case: Case) -> Finding:
    """A box that is not ticked, and the command that ticks it."""
    if has_check(place):
        return Finding(str(place), "its check has not passed", case.command("check", place.address))
    why = "is not done" if isinstance(place, ItemPlace) else "is not met"
    return Finding(str(place), why, case.command("check", place.address, "--done", "--as", PLACEHOLDER))


def has_check(place: Place) -> bool:
    """Whether a command proves it, and not a person."""
    return isinstance(place, ItemPlace) and bool(place.item.check)


_MARKS = ("by", "at", "evidence")
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def check_person(identifier: str) -> str:
    """Accept the id of somebody who ticks a box.

    Raises:
        UsageError: it is no id, or the placeholder of a finding's command.
    """
    if identifier == PLACEHOLDER:
        raise UsageError(f"--as: write your own id in place of {PLACEHOLDER}")
    try:
        return _IDENTIFIER.validate_python(identifier)
    except ValidationError as error:
        raise UsageError(f"--as: {identifier!r} {sentence(error.errors(include_url=False)[:1])}") from None


def tick(place: Place, *, by: str | None, at: str, evidence: str | None) -> list[Edit | Removal]:
    """Mark an item as done, or a condition as met, with who, when and what proves it."""
    marks = {"by": by, "at": at, "evidence": _clean(evidence)}
    if isinstance(place, ItemPlace):
        done = Edit((*place.loc, "done"), True)
        return [done, *(_stated(place, name, value) for name, value in marks.items())]
    ticked = {"condition": place.condition} | {name: value for name, value in marks.items() if value}
    return [Edit(place.loc, [*_others(place), ticked])]


def untick(place: Place) -> list[Edit | Removal]:
    """Open a box again and take its marks out."""
    if isinstance(place, ItemPlace):
        return [Edit((*place.loc, "done"), False), *(Removal((*place.loc, name)) for name in _MARKS)]
    others = _others(place)
    return [Edit(place.loc, others) if others else Removal(place.loc)]


def _stated(place: ItemPlace, name: str, value: str | None) -> Edit | Removal:
    return Edit((*place.loc, name), value) if value else Removal((*place.loc, name))


def _others(place: ConditionPlace) -> list[dict[str, str]]:
    met = [tick.model_dump(mode="json", exclude_none=True) for tick in place.signature.met]
    return [tick for tick in met if tick["condition"] != place.condition]


def _clean(text: str | None) -> str | None:
    return unicodedata.normalize("NFC", text).strip() or None if text else None
