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
class ItemEntry:
    """A checklist item; `index` counts from 0."""

    index: int
    item: ChecklistItem

    @property
    def loc(self) -> Loc:
        """Its path in the card."""
        return ("checklist", self.index)

    @property
    def address(self) -> str:
        """How a command names it: its number from 1."""
        return str(self.index + 1)

    @property
    def ticked(self) -> bool:
        """Whether the box is closed."""
        return self.item.done

    def __str__(self) -> str:
        return f"checklist {self.address} ({self.item.item})"


@dataclass(frozen=True)
class ConditionEntry:
    """A condition of a reviewer's approval; the reviewer's and the condition's index count from 0."""

    reviewer: int
    reviewer_id: str
    signature: Signature
    index: int

    @property
    def condition(self) -> str:
        """The condition's text."""
        return self.signature.conditions[self.index]

    @property
    def loc(self) -> Loc:
        """The path of the signature's met conditions in the card."""
        return ("sign_off", "reviewers", self.reviewer, "signed", "met")

    @property
    def address(self) -> str:
        """How a command names it: ``condition:scav:1``."""
        return f"condition:{self.reviewer_id}:{self.index + 1}"

    @property
    def ticked(self) -> bool:
        """Whether it has been marked as met."""
        return any(met.condition == self.condition for met in self.signature.met)

    def __str__(self) -> str:
        return f"condition {self.index + 1} of {self.reviewer_id} ({self.condition})"


ChecklistEntry = ItemEntry | ConditionEntry


def item_entries(card: Card) -> tuple[ItemEntry, ...]:
    """Every item of the checklist."""
    return tuple(ItemEntry(index, item) for index, item in enumerate(card.checklist))


def condition_entries(card: Card, reviewer_id: str) -> tuple[ConditionEntry, ...]:
    """Every condition of a reviewer's signature."""
    return tuple(
        ConditionEntry(index, reviewer.id, reviewer.signed, number)
        for index, reviewer in enumerate(card.sign_off.reviewers)
        if reviewer.id == reviewer_id and isinstance(reviewer.signed, Signature)
        for number in range(len(reviewer.signed.conditions))
    )


def find_entry(card: Card, address: str, *, file: str) -> ChecklistEntry:
    """Find an entry by its number from 1, its text, a part of its text, or ``condition:REVIEWER:NUMBER``.

    Raises:
        UsageError: no entry matches, or more than one.
    """
    if match := _CONDITION.fullmatch(address):
        return _condition(card, match["reviewer"], int(match["number"]), file=file)
    entries = _matching(item_entries(card), address)
    if len(entries) == 1:
        return entries[0]
    if entries:
        several = ", ".join(entry.address for entry in entries)
        raise UsageError(f"{file}: checklist: {address!r} fits the items {several}; give the number of one")
    raise UsageError(f"{file}: checklist: there is no item {address!r}; {_what_there_is(card)}")


def _matching(entries: tuple[ItemEntry, ...], address: str) -> list[ItemEntry]:
    if _NUMBER.fullmatch(address):
        return [entry for entry in entries if entry.index + 1 == int(address)]
    wanted = address.strip().casefold()
    exact = [entry for entry in entries if entry.item.item.casefold() == wanted]
    return exact or [entry for entry in entries if wanted and wanted in entry.item.item.casefold()]


def _what_there_is(card: Card) -> str:
    if not card.checklist:
        return "the card has no checklist"
    return "; ".join(f"{entry.address} is {entry.item.item!r}" for entry in item_entries(card))


def _condition(card: Card, reviewer_id: str, number: int, *, file: str) -> ConditionEntry:
    entries = condition_entries(card, reviewer_id)
    if 1 <= number <= len(entries):
        return entries[number - 1]
    have = f"has {len(entries)} conditions" if entries else "is not there or has no conditions"
    raise UsageError(f"{file}: sign_off.reviewers: a signature of {reviewer_id} {have}; there is no condition {number}")


PLACEHOLDER = "YOUR-ID"
"""The placeholder for an id in the commands that findings suggest."""


def open_items(case: Case) -> Iterator[Finding]:
    """Every item of the checklist that is not done."""
    yield from (open_box(entry, case) for entry in item_entries(case.card) if not entry.ticked)


def open_conditions(approval: Approval, case: Case) -> Iterator[Finding]:
    """The conditions of an approval that are not ticked yet."""
    yield from (open_box(entry, case) for entry in condition_entries(case.card, approval.id) if not entry.ticked)


def open_box(entry: ChecklistEntry, case: Case) -> Finding:
    """A box that is not ticked, and the command that ticks it."""
    if has_check(entry):
        return Finding(str(entry), "its check has not passed", case.command("check", entry.address))
    why = "is not done" if isinstance(entry, ItemEntry) else "is not met"
    return Finding(str(entry), why, case.command("check", entry.address, "--done", "--as", PLACEHOLDER))


def has_check(entry: ChecklistEntry) -> bool:
    """Whether a command proves it, rather than a person."""
    return isinstance(entry, ItemEntry) and bool(entry.item.check)


_MARKS = ("by", "at", "evidence")
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def check_person(identifier: str) -> str:
    """Accept the id of a person who ticks a box.

    Raises:
        UsageError: it is not a valid id, or is the placeholder from a finding's command.
    """
    if identifier == PLACEHOLDER:
        raise UsageError(f"--as: write your own id in place of {PLACEHOLDER}")
    try:
        return _IDENTIFIER.validate_python(identifier)
    except ValidationError as error:
        raise UsageError(f"--as: {identifier!r} {sentence(error.errors(include_url=False)[:1])}") from None


def tick(entry: ChecklistEntry, *, by: str | None, at: str, evidence: str | None) -> list[Edit | Removal]:
    """Mark an item as done, or a condition as met, with who, when and what proves it."""
    marks = {"by": by, "at": at, "evidence": _clean(evidence)}
    if isinstance(entry, ItemEntry):
        done = Edit((*entry.loc, "done"), True)
        return [done, *(_stated(entry, name, value) for name, value in marks.items())]
    ticked = {"condition": entry.condition} | {name: value for name, value in marks.items() if value}
    return [Edit(entry.loc, [*_others(entry), ticked])]


def untick(entry: ChecklistEntry) -> list[Edit | Removal]:
    """Open a box again and remove its marks."""
    if isinstance(entry, ItemEntry):
        return [Edit((*entry.loc, "done"), False), *(Removal((*entry.loc, name)) for name in _MARKS)]
    others = _others(entry)
    return [Edit(entry.loc, others) if others else Removal(entry.loc)]


def _stated(entry: ItemEntry, name: str, value: str | None) -> Edit | Removal:
    return Edit((*entry.loc, name), value) if value else Removal((*entry.loc, name))


def _others(entry: ConditionEntry) -> list[dict[str, str]]:
    met = [tick.model_dump(mode="json", exclude_none=True) for tick in entry.signature.met]
    return [tick for tick in met if tick["condition"] != entry.condition]


def _clean(text: str | None) -> str | None:
    return unicodedata.normalize("NFC", text).strip() or None if text else None
