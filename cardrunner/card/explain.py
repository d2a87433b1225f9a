"""pydantic's findings as faults: where in the file, and one plain sentence each.

No sentence repeats what was written into a field: it could be a secret that went into the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from cardrunner.card.reading.document import Document, Fault, Loc, Mapping as MappingNode, child
from cardrunner.card.schema.base import FieldError
from cardrunner.kill_rules.table import Kinds
from cardrunner.text import listed, nearest

Detail = Mapping[str, Any]
MAX_LISTED = 14
MAX_DETAILS = 400
"""Findings that are looked at: finding their places and guessing at typos takes time, and nobody reads more."""

_WANTS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys and values",
    "mapping_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
    "model_attributes_type": "a mapping of keys and values",
    "none_required": "null",
}
_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "greater_than": lambda ctx: f"must be more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:.16g}",
    "less_than": lambda ctx: f"must be less than {ctx['lt']:.16g}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:.16g}",
    "multiple_of": lambda ctx: f"must be a multiple of {ctx['multiple_of']:g}",
    "finite_number": lambda _: "must be a finite number",
    "int_parsing_size": lambda _: "has too many digits",
    "too_short": lambda ctx: f"needs at least {_count(ctx['min_length'], 'entry', 'entries')}",
    "too_long": lambda ctx: f"has more than {_count(ctx['max_length'], 'entry', 'entries')}",
    "string_too_short": lambda _: "is empty; write something or leave the key out",
    "string_unicode": lambda _: "holds a character that is not valid Unicode; retype it",
    "string_too_long": lambda ctx: f"is longer than {_count(ctx['max_length'], 'character', 'characters')}",
    "string_pattern_mismatch": lambda _: "must be one line",  # the only pattern: see `Line`
    "value_error": lambda ctx: str(ctx["error"]),
}
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with decimals",
    tuple: "a list",
    dict: "a mapping",
}


def explain(error: ValidationError, document: Document, model: type[BaseModel]) -> tuple[Fault, ...]:
    """Every finding as a fault in the order of the file, one per place.

    Args:
        error: what pydantic found.
        document: the card as read, for the positions.
        model: the card model that was validated, for the guesses at typos.
    """
    details = _without_echoes(error.errors(include_url=False)[:MAX_DETAILS])
    places: dict[Loc, list[Detail]] = {}
    for detail in details:
        places.setdefault(_place(detail, document), []).append(detail)
    faults = (_fault(loc, found, document, model) for loc, found in places.items())
    return tuple(sorted(faults, key=lambda fault: (fault.line, fault.column)))


def sentence(found: Sequence[Detail], *, keys: Sequence[str] = ()) -> str:
    """One sentence for the findings about one value.

    Args:
        found: the findings; several when none of several alternatives fits.
        keys: the keys that are known where an unknown one stands.
    """
    wants = list(dict.fromkeys(want for detail in found if (want := _want(detail))))
    if wants:
        return f"must be {listed(wants, 'or')}, not {_kind(found[0]['input'])}"
    first = found[0]
    if first["type"] == "extra_forbidden":
        return _unknown_key(str(first["loc"][-1]), keys)
    if first["type"] == "literal_error":
        return _not_a_choice(first["input"], _choices(first["ctx"]["expected"]))
    make = _SENTENCES.get(first["type"])
    return make(first.get("ctx", {})) if make else "is not what belongs here; `cardrunner schema` shows what does"


def _fault(loc: Loc, found: Sequence[Detail], document: Document, model: type[BaseModel]) -> Fault:
    kind = found[0]["type"]
    place = loc[:-1] if kind == "missing" else loc  # what is missing is missing from its section
    mark = document.mark(place, key=kind in ("missing", "extra_forbidden"))
    keys = known_keys(model, found[0]["loc"][:-1]) if kind == "extra_forbidden" else ()
    return document.fault(mark, loc, sentence(found, keys=keys))


def _place(detail: Detail, document: Document) -> Loc:
    """Where the card says it: pydantic's path without the names of union members, plus what a `FieldError` adds."""
    node, kept = document.root, list[str | int]()
    for step in detail["loc"]:
        inner = child(node, step)
        if inner is not None:
            kept.append(step)
            node = inner  # type: ignore[assignment]
        elif detail["type"] == "missing" and step == detail["loc"][-1] and isinstance(node, MappingNode):
            kept.append(step)
    cause = detail.get("ctx", {}).get("error")
    return (*kept, *cause.at) if isinstance(cause, FieldError) else tuple(kept)


def _without_echoes(details: Sequence[Any]) -> list[Detail]:
    """Leave out that a list is too short because its entries have faults of their own."""

    def echo(detail: Detail) -> bool:
        loc = detail["loc"]
        return any(len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in details)

    return [detail for detail in details if detail["type"] != "too_short" or not echo(detail)]


def _want(detail: Detail) -> str | None:
    if detail["type"] == "union_tag_invalid":
        return listed([tag.strip("'<>") for tag in detail["ctx"]["expected_tags"].split(", ")], "or")
    return _WANTS.get(detail["type"])


def _unknown_key(key: str, keys: Sequence[str]) -> str:
    if near := nearest(key, keys, cutoff=0.7):
        return f'unknown key; did you mean "{near}"?'
    if 0 < len(keys) <= MAX_LISTED:
        return f"unknown key; there {'is' if len(keys) == 1 else 'are'} {listed(keys, 'and')}"
    return "unknown key; `cardrunner schema` lists the ones there are"


def _not_a_choice(value: object, choices: Sequence[str]) -> str:
    near = nearest(value, choices, cutoff=0.7) if isinstance(value, str) and len(choices) > 1 else None
    return f"must be {listed(choices, 'or')}" + (f'; did you mean "{near}"?' if near else "")


def _choices(expected: str) -> list[str]:
    """``'a', 'b' or 'c'`` as its parts; pydantic gives the choices of a literal only as this text."""
    return [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "empty")


def known_keys(model: type[BaseModel], loc: Loc) -> tuple[str, ...]:
    """The keys that may stand in the section at a place, aliases as people write them."""
    here: list[tuple[type[BaseModel], str | None]] = [(model, None)]
    for step in loc:
        if isinstance(step, str):
            tagged = [member for member in here if member[1] == step]
            inner = [found for section, _ in here for found in _below(section, step)]
            here = tagged or inner or here
    return tuple(
        dict.fromkeys(field.alias or name for section, _ in here for name, field in section.model_fields.items())
    )


def sections_below(section: type[BaseModel], *, only: str | None = None) -> Iterator[type[BaseModel]]:
    """The sections that the fields of a section can hold, or the field `only`."""
    for field in (field for name, field in section.model_fields.items() if only in (None, name)):
        yield from (found for found, _ in _sections(field.annotation))


def _below(section: type[BaseModel], key: str) -> Iterator[tuple[type[BaseModel], str | None]]:
    for name, field in section.model_fields.items():
        if key == (field.alias or name):
            yield from _sections(field.annotation)


def _sections(annotation: Any, tag: str | None = None) -> Iterator[tuple[type[BaseModel], str | None]]:
    """The sections an annotation can hold, each with its name in a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, tag
        return
    parts = get_args(annotation)
    if any(isinstance(part, Kinds) for part in parts):
        yield from Kinds.members()
        return
    if get_origin(annotation) is Annotated:
        tag = next((mark.tag for mark in parts[1:] if isinstance(mark, Tag)), tag)
        parts = parts[:1]
    for part in parts:
        yield from _sections(part, tag)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
