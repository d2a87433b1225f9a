"""Ticking a box, as edits of the card. Nothing that they touch is part of what is signed."""

from __future__ import annotations

import unicodedata

from pydantic import TypeAdapter, ValidationError

from cardrunner.card.edit import Edit, Removal
from cardrunner.card.explain import sentence
from cardrunner.card.schema.base import Identifier
from cardrunner.errors import UsageError
from cardrunner.gate.checklist import PLACEHOLDER
from cardrunner.gate.places import ConditionPlace, ItemPlace, Place

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
