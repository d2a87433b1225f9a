"""What a signature covers, and its digest.

The digest covers the content of the card, whatever its layout: the effective card with its defaults, as canonical JSON
(RFC 8785). Left out are signatures, check marks and their evidence, and fields that were added to the format after
cards were signed (`cardrunner.specs.AddedField`) while they have their default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from pydantic import BaseModel

from cardrunner.card.reading.document import Loc, format_path, printable
from cardrunner.card.schema.base import ADDED
from cardrunner.card.schema.card import Card

DOMAIN = b"cardrunner card 1\0"
"""Distinguishes this digest from that of any other JSON."""
_UNSIGNED: Any = {
    "checklist": {"__all__": {"done", "by", "at", "evidence"}},
    "sign_off": {"reviewers": {"__all__": {"signed"}}},
}
_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """One value that differs between two signed contents; None on the side where it is absent."""

    path: str
    before: object
    after: object
    kind: str = "changed"

    def __str__(self) -> str:
        if self.kind == "added":
            return f"{self.path}: added {_shown(self.after)}"
        if self.kind == "removed":
            return f"{self.path}: removed {_shown(self.before)}"
        return f"{self.path}: {_shown(self.before)} → {_shown(self.after)}"


def signed_content(card: Card) -> dict[str, Any]:
    """Everything a reviewer agrees to, as JSON: the card with its defaults, without signatures and check marks."""
    content = card.model_dump(mode="json", by_alias=True, exclude=_UNSIGNED)
    _leave_out_added(card, content)
    return content


def card_digest(card: Card) -> str:
    """The sha256 that a sign-off signs, as 64 hexadecimal digits.

    Raises:
        rfc8785.CanonicalizationError: it holds a number that JSON cannot represent exactly, which the schema rejects.
    """
    return content_digest(signed_content(card))


def content_digest(content: Mapping[str, Any]) -> str:
    """The digest of signed content that was stored as JSON.

    Raises:
        rfc8785.CanonicalizationError: it holds a value that JSON cannot represent exactly, such as NaN.
    """
    return hashlib.sha256(DOMAIN + rfc8785.dumps(dict(content))).hexdigest()


def content_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Every value that differs between two signed contents, in the order of the card."""
    return tuple(_changes((), before, after))


def _leave_out_added(value: object, content: Any) -> None:
    """Remove added fields that have their default from the JSON of a value."""
    if isinstance(value, tuple):
        for item, part in zip(value, content, strict=True):
            _leave_out_added(item, part)
    if isinstance(value, Mapping):
        for key, item in value.items():
            _leave_out_added(item, content[key])
    if not isinstance(value, BaseModel):
        return
    for name, field in type(value).model_fields.items():
        key, item = field.alias or name, getattr(value, name)
        if ADDED in field.metadata and item == field.default:
            del content[key]
        elif key in content:  # or a field that is not signed
            _leave_out_added(item, content[key])


def _changes(loc: Loc, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from _changes((*loc, key), before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif _is_list(before) and _is_list(after):
        for index in range(max(len(before), len(after))):
            yield from _changes((*loc, index), _item(before, index), _item(after, index))
    elif before is _ABSENT:
        yield Change(format_path(loc), None, after, "added")
    elif after is _ABSENT:
        yield Change(format_path(loc), before, None, "removed")
    elif not _same(before, after):
        yield Change(format_path(loc), before, after)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _item(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else _ABSENT


def _same(before: object, after: object) -> bool:
    """Whether two values are equal as JSON: 1 and 1.0 are equal, 1 and true are not."""
    return isinstance(before, bool) == isinstance(after, bool) and before == after


def _shown(value: object) -> str:
    text = printable(rfc8785.dumps(value).decode())  # type: ignore[arg-type]  # the signed content is a file, too
    return text if len(text) <= 120 else f"{text[:119]}…"
