"""The section base class and the scalar types that cards are written in."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    GetPydanticSchema,
    StringConstraints,
    Tag,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from cardrunner.common import units
from cardrunner.specs import ADDED as ADDED


class Section(BaseModel):
    """A part of a card: strict types, no unknown keys, frozen once read."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # an error text must never repeat a secret typed into the wrong field
        defer_build=True,
        allow_inf_nan=False,
    )


@dataclass(frozen=True)
class Described:
    """Marks a field of a section that is put together at run time with what editors show; elsewhere that stands below
    the field in the source."""

    text: str


class FieldError(ValueError):
    """A fault that a section's own validator finds in one of its fields.

    Args:
        message: what is wrong, without naming the place.
        at: the field, relative to the section.
    """

    def __init__(self, message: str, *at: str | int) -> None:
        super().__init__(message)
        self.at = at


def _from_text(parse: Callable[[str], Any], example: str) -> Callable[[Any], Any]:
    """Let a quantity be written only as text with its unit; a bare number is refused by the parser's own sentence."""

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"must be a quantity with its unit, such as {example}")
        return parse(str(value))

    return read


def _percent_or_number(value: Any) -> Any:
    return units.parse_percent(value) if isinstance(value, str) and value.endswith("%") else value


_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_run_name(value: str) -> str:
    """Accept a name that is safe as a folder on any file system.

    Raises:
        ValueError: the name has a path in it, is over 64 characters or uses other characters.
    """
    if _NAME.fullmatch(value) and ".." not in value and not value.endswith((".", "-")):
        return value
    raise ValueError(
        "is not a run name; use 1 to 64 of a-z 0-9 . _ - beginning with a letter or digit, such as policy-22k"
    )


def _identifier(value: str) -> str:
    if _IDENTIFIER.fullmatch(value):
        return value
    raise ValueError("is not an id; use 1 to 64 ASCII letters, digits or . _ - beginning with a letter or digit")


def leaves_workspace(path: str) -> bool:
    """True for a path that is absolute on some system, has ``..`` in it, or begins in a home folder or on a drive."""
    parts = path.replace("\\", "/").split("/")
    return parts[0].startswith("~") or not parts[0] or ":" in parts[0] or ".." in parts


def _inside(value: str) -> str:
    if leaves_workspace(value):
        raise ValueError("leaves the workspace; write a path relative to it, such as downloads/best.pt")
    return value


def _sha256(value: str) -> str:
    if _SHA256.fullmatch(value):
        return value
    raise ValueError("is not a sha256; write its 64 hexadecimal digits in lower case")


def _date(value: Any) -> Any:
    if isinstance(value, datetime.date):
        return value
    if not isinstance(value, str):
        raise ValueError("is not a date; write it as YYYY-MM-DD, such as 2026-02-26")
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        raise ValueError("is not a date; write it as YYYY-MM-DD, such as 2026-02-26") from None


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number, not true or false")
    return value


NO_TRUTH = BeforeValidator(_no_truth)
"""For choices between whole numbers, because true equals 1 and false equals 0."""
LARGEST_COUNT = 2**53 - 1
"""The largest whole number that JSON, and so the digest, holds exactly."""

TEXT_SCHEMA: dict[str, Any] = {"type": "string"}


def quantity(description: str, pattern: str, *examples: Any, numbers: bool = False) -> dict[str, Any]:
    """The JSON Schema, for editors, of a value written as text of a pattern, or also as a bare number.

    Written out, because deriving it would build another pydantic type at every start.
    """
    kinds = {"type": ["number", "string"]} if numbers else TEXT_SCHEMA
    return {**kinds, "pattern": pattern, "description": description, "examples": list(examples)}


DURATION_SCHEMA = quantity(
    "A duration with its unit: ms, s, min, h or d.", units.DURATION_PATTERN, "12h", "30 min", "1h 30min"
)
DOLLARS_SCHEMA = quantity("US dollars.", units.DOLLARS_PATTERN, "$7.50")


Seconds = Annotated[
    float,
    BeforeValidator(_from_text(units.parse_duration, "12h or 30 min")),
    WithJsonSchema(DURATION_SCHEMA),
]
"""A duration in seconds, written with its unit."""
ByteCount = Annotated[
    int,
    BeforeValidator(_from_text(units.parse_bytes, "74.4 GB")),
    Field(le=LARGEST_COUNT),
    WithJsonSchema(
        quantity("A size with its unit, decimal (GB) or binary (GiB).", units.SIZE_PATTERN, "74.4 GB", "16 GiB")
    ),
]
"""A size in bytes, written with its unit."""
Dollars = Annotated[float, BeforeValidator(_from_text(units.parse_dollars, "$7.50")), WithJsonSchema(DOLLARS_SCHEMA)]
"""US dollars."""
HourlyRate = Annotated[
    float,
    BeforeValidator(_from_text(units.parse_hourly_rate, "$0.59/h")),
    WithJsonSchema(quantity("US dollars per hour.", units.HOURLY_PATTERN, "$0.59/h")),
]
"""US dollars per hour."""
_read_every = _from_text(units.parse_every, "1000 steps or 1 epoch")
Every = Annotated[
    units.Every,
    # taken as it is: pydantic would otherwise build a second model for the dataclass at every start
    GetPydanticSchema(lambda _type, _handler: core_schema.no_info_plain_validator_function(_read_every)),
    WithJsonSchema(
        quantity(
            "How often: in steps, epochs or a duration.",
            units.EVERY_PATTERN,
            "1000 steps",
            "1 epoch",
            "5 min",
        )
    ),
]
"""How often: in steps, epochs or a duration."""
_PERCENT = BeforeValidator(_percent_or_number)
Fraction = Annotated[
    float,
    _PERCENT,
    Field(ge=0, le=1),
    WithJsonSchema(
        quantity("A share, as a percentage or from 0 to 1.", units.PERCENT_PATTERN, "90%", 0.1, numbers=True)
    ),
]
"""A share from 0 to 1, written as a number or a percentage."""
Number = Annotated[
    float,
    _PERCENT,
    WithJsonSchema(quantity("A number or a percentage.", units.PERCENT_PATTERN, 0.015, "99%", numbers=True)),
]
"""A metric value, written as a number or a percentage."""
Date = Annotated[
    datetime.date,
    BeforeValidator(_date),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-02-26"]}),
]
# Checked inside pydantic: most of a card's fields are of these types, and a Python validator would run once for each.
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\n]*$")]
"""One line of free text."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Free text."""
WorkspacePath = Annotated[Line, AfterValidator(_inside)]
"""A path that stays in the workspace."""
RunName = Annotated[
    str,
    AfterValidator(check_run_name),
    WithJsonSchema({**TEXT_SCHEMA, "pattern": f"^{_NAME.pattern}$", "examples": ["policy-22k"]}),
]
Identifier = Annotated[
    str,
    AfterValidator(_identifier),
    WithJsonSchema({**TEXT_SCHEMA, "pattern": f"^{_IDENTIFIER.pattern}$", "examples": ["scav"]}),
]
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
PositiveCount = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
Sha256 = Annotated[str, AfterValidator(_sha256)]


def _kind(value: Any) -> str:
    """The kind of what is written; in angle brackets, so that no key of a card can be mistaken for it."""
    kinds = {str: "<text>", bool: "<true or false>", int: "<a whole number>", float: "<a number>"}
    return kinds.get(type(value), "<other>")


BY_KIND = Discriminator(_kind)
"""Chooses a member of a union by what is written, so that its fault is the only one reported."""
LineOrNumber = Annotated[
    Annotated[Line, Tag("<text>")]
    | Annotated[bool, Tag("<true or false>")]
    | Annotated[int, Field(ge=-LARGEST_COUNT, le=LARGEST_COUNT), Tag("<a whole number>")]
    | Annotated[float, Tag("<a number>"), WithJsonSchema({"type": "number", "not": {"type": "integer"}})],
    BY_KIND,
]
LineOrCount = Annotated[Annotated[Line, Tag("<text>")] | Annotated[Count, Tag("<a whole number>")], BY_KIND]


def one_or_many(value: Any) -> Any:
    """Let a list with one entry be written as that entry."""
    return value if isinstance(value, tuple) or value is None else (value,)


def one_or_many_schema(item: dict[str, Any], *, at_least: int = 0) -> dict[str, Any]:
    """The JSON Schema of a `one_or_many` field."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": at_least}]}


class ShortForm:
    """Lets an editor's schema take a short form too: one entry for a list of entries, or what a `shape` describes.

    Args:
        shape: the schema of the short form; that of one entry where nothing is given.
    """

    def __init__(self, shape: dict[str, Any] | None = None) -> None:
        self._shape = shape

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        shown = handler(core)
        return {"anyOf": [self._shape or shown["items"], shown]}


Lines = Annotated[tuple[Line, ...], BeforeValidator(one_or_many), WithJsonSchema(one_or_many_schema(TEXT_SCHEMA))]
"""One line of free text, or a list of them."""
