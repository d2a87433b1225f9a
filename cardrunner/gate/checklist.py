"""What has to be done before the launch."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.gate.case import Case
from cardrunner.gate.findings import Approval, Finding
from cardrunner.gate.places import ItemPlace, Place, checklist_places, condition_places

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
