"""The JSON Schema of card files, for completion and checks in editors."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.explain import sections_below
from cardrunner.card.load import card_model
from cardrunner.card.reading.extends import KEY as EXTENDS, OWN
from cardrunner.card.schema_texts import FieldExamples, described, field_texts

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_EXTENDING = "-extending"


def card_json_schema(specs: Sequence[WorkloadSpec]) -> Schema:
    """One schema for the cards of several workloads; a card's `workload` chooses its sections.

    A card that extends another may leave out inherited fields at any depth.
    """
    definitions = _definitions(specs)
    names = [spec.name for spec in specs]
    parts = _extending(definitions, names)
    first = definitions[names[0]]["properties"]
    return {
        "$schema": DIALECT,
        "title": "Run card",
        "type": "object",
        "properties": {"workload": {**first["workload"], "enum": names}, EXTENDS: first[EXTENDS]},
        "if": {"properties": {EXTENDS: {"type": "string"}}, "required": [EXTENDS]},
        "then": {
            "if": {"required": ["workload"]},
            "then": {"allOf": [_of_workload(name, name + _EXTENDING) for name in names]},
            "else": {"anyOf": [_reference(name + _EXTENDING) for name in names]},
        },
        "else": {"required": ["workload"], "allOf": [_of_workload(name, name) for name in names]},
        "$defs": {**definitions, **parts},
    }


def schema_text(specs: Sequence[WorkloadSpec]) -> str:
    """The schema as the text of a file."""
    return json.dumps(card_json_schema(specs), indent=1, ensure_ascii=False) + "\n"


def _of_workload(name: str, definition: str) -> Schema:
    return {
        "if": {"properties": {"workload": {"const": name}}, "required": ["workload"]},
        "then": _reference(definition),
    }


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


# ---------------------------------------------------------------- whole cards


def _definitions(specs: Sequence[WorkloadSpec]) -> dict[str, Schema]:
    """The definitions: a card per workload, under the workload's name, and the shared sections."""
    examples = FieldExamples.of((spec, card_model(spec)) for spec in specs)
    owners: dict[str, type[BaseModel]] = {}
    found: dict[str, Schema] = {}
    for spec in specs:
        model = card_model(spec)
        sections = {section.__name__: section for section in _all_sections(model, set()) if section is not model}
        names = {
            name: name if owners.setdefault(name, section) is section else f"{spec.name}-{name}"
            for name, section in sections.items()
        }
        schema = _renamed(model.model_json_schema(by_alias=True, mode="validation"), names)
        inner = {names.get(old, old): part for old, part in schema.pop("$defs").items()}
        found |= {spec.name: _with_texts(schema, model, inner, examples)}
        found |= {
            new: _with_texts(inner[new], sections[old], inner, examples)
            for old, new in names.items()
            if new in inner  # a section may state a schema of its own for short forms
        }
    return _with_assembled(found)


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """The schema with its sections renamed, including references to them."""
    if isinstance(schema, list):
        return [_renamed(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _renamed(value, names) for key, value in schema.items()}
    if "$ref" in schema:
        old = schema["$ref"].rpartition("/")[2]
        renamed |= _reference(names.get(old, old))
    return renamed


def _with_texts(
    schema: Schema, section: type[BaseModel], sections: Mapping[str, Schema], examples: FieldExamples
) -> Schema:
    texts = field_texts(section)
    properties = dict(schema.get("properties", {}))
    for name, field in section.model_fields.items():
        key = field.alias or name
        if key in properties:
            properties[key] = described(properties[key], sections, texts.get(name), examples.at(section, key))
    return {**schema, "properties": properties}


def _with_assembled(definitions: dict[str, Schema]) -> dict[str, Schema]:
    """Add examples to sections without one, made from their fields."""
    for definition in definitions.values():
        for shown in definition["properties"].values():
            if "examples" not in shown and "$ref" in shown:
                inner = definitions[shown["$ref"].rpartition("/")[2]]["properties"]
                shown["examples"] = [{key: part["examples"][0] for key, part in inner.items() if part.get("examples")}]
    return definitions


def _all_sections(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    seen.add(model)
    yield model
    for section in sections_below(model):
        if section not in seen:
            yield from _all_sections(section, seen)


# ---------------------------------------------------------------- cards that extend one


def _extending(definitions: Mapping[str, Schema], names: Sequence[str]) -> dict[str, Schema]:
    """The sections with all keys optional, except in lists and in what is never inherited."""
    found: dict[str, Schema] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name + _EXTENDING not in found:
            whole = copy.deepcopy(definitions[name])
            own = {key: whole["properties"].pop(key) for key in OWN if name in names}
            free = _free(whole)
            left += [reference.removesuffix(_EXTENDING) for reference in _references(free)]
            found[name + _EXTENDING] = {**free, "properties": {**free["properties"], **own}}
    return found


def _free(node: Any) -> Any:
    if isinstance(node, list):
        return [_free(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = ("items", "prefixItems", "examples", "default", "enum", "const")
    free = {key: value if key in kept else _free(value) for key, value in node.items()}
    if isinstance(node.get("required"), list):
        del free["required"]
    return {**free, "$ref": node["$ref"] + _EXTENDING} if isinstance(node.get("$ref"), str) else free


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str) and node["$ref"].endswith(_EXTENDING):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
