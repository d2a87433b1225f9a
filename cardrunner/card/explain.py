"""Turn pydantic's findings into faults: a place in the file and one plain sentence each.

No sentence repeats the content of a field, which could be a misplaced secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from cardrunner.card.reading.document import Document, Fault, Loc, Mapping as MappingNode, child, plain
from cardrunner.card.schema.base import FieldError
from cardrunner.card.schema.infra import Platforms
from cardrunner.card.trackers import Trackers
from cardrunner.common.text import listed, nearest
from cardrunner.kill_rules.base import Rule
from cardrunner.kill_rules.table import is_absent, nearest_kind, rule_classes, rule_keys

Detail = Mapping[str, Any]
MAX_LISTED = 14
MAX_DETAILS = 400
"""The number of findings that are explained; locating them and guessing at typos takes time."""

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
        keys: the keys that are known at the place of an unknown one.
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
    return make(first.get("ctx", {})) if make else "is not valid here; `cardrunner schema` shows what is"


def _fault(loc: Loc, found: Sequence[Detail], document: Document, model: type[BaseModel]) -> Fault:
    kind = found[0]["type"]
    place = loc[:-1] if kind == "missing" else loc  # a missing key is reported at its section
    mark = document.mark(place, key=kind in ("missing", "extra_forbidden"))
    if kind != "extra_forbidden":
        return document.fault(mark, loc, sentence(found))
    node = document.find(loc[:-1])
    keys = known_keys(model, found[0]["loc"][:-1], written=None if node is None else plain(node))
    return document.fault(mark, loc, _absent_rule(loc, keys) or sentence(found, keys=keys))


def _absent_rule(loc: Loc, keys: Sequence[str]) -> str | None:
    """The sentence for a key that a missing plug-in kill rule may have had; None for other keys."""
    key = str(loc[-1])
    if loc[0] != "kill_thresholds" or len(loc) != 3 or not is_absent(key) or nearest(key, keys, cutoff=0.7):
        return None
    if (near := nearest_kind(key)) is not None:
        return f'unknown key; did you mean "{near}"?'
    return "no kill rule of cardrunner has this key, and no installed package provides it"


def _place(detail: Detail, document: Document) -> Loc:
    """The place in the card: pydantic's path without the names of union members, plus the place in a `FieldError`."""
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
    """Leave out findings that a list is too short because its entries are faulty."""

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
    return "unknown key; `cardrunner schema` lists the known ones"


def _not_a_choice(value: object, choices: Sequence[str]) -> str:
    near = nearest(value, choices, cutoff=0.7) if isinstance(value, str) and len(choices) > 1 else None
    return f"must be {listed(choices, 'or')}" + (f'; did you mean "{near}"?' if near else "")


def _choices(expected: str) -> list[str]:
    """``'a', 'b' or 'c'`` as its parts; pydantic gives the choices of a literal only as this text."""
    return [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "empty")


def known_keys(model: type[BaseModel], loc: Loc, *, written: object = None) -> tuple[str, ...]:
    """The keys allowed in the section at a place, as written in cards (aliases).

    Args:
        model: the card.
        loc: the place of the section.
        written: the value at that place; a kill rule's keys depend on it.
    """
    here: list[tuple[type[BaseModel], str | None]] = [(model, None)]
    for step in loc:
        if isinstance(step, str):
            tagged = [member for member in here if member[1] == step]
            inner = [found for section, _ in here for found in _below(section, step)]
            here = tagged or inner or here
    if any(issubclass(section, Rule) for section, _ in here):
        return rule_keys(written)
    return tuple(
        dict.fromkeys(field.alias or name for section, _ in here for name, field in section.model_fields.items())
    )


def sections_below(section: type[BaseModel], *, only: str | None = None) -> Iterator[type[BaseModel]]:
    """The sections that the fields of a section can hold, or the field `only`."""
    for field in (field for name, field in section.model_fields.items() if only in (None, name)):
        yield from (found for found, _ in _sections(field.rebuild_annotation()))


def _below(section: type[BaseModel], key: str) -> Iterator[tuple[type[BaseModel], str | None]]:
    for name, field in section.model_fields.items():
        if key == (field.alias or name):
            yield from _sections(field.rebuild_annotation())


def _sections(annotation: Any, tag: str | None = None) -> Iterator[tuple[type[BaseModel], str | None]]:
    """The sections that an annotation allows, each with its name in a union."""
    if annotation is Rule:
        yield from ((found, None) for found in rule_classes())
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, tag
        return
    parts = get_args(annotation)
    for part in parts:
        if isinstance(part, Trackers | Platforms):
            yield from part.members()
            return
    if get_origin(annotation) is Annotated:
        tag = next((mark.tag for mark in parts[1:] if isinstance(mark, Tag)), tag)
        parts = parts[:1]
    for part in parts:
        yield from _sections(part, tag)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
