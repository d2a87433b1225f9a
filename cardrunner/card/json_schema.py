"""The JSON Schema of a card as people write it, so that editors complete and check while typing."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from cardrunner.card.explain import sections_below
from cardrunner.card.load import card_model
from cardrunner.contracts import WorkloadSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def card_json_schema(specs: Sequence[WorkloadSpec]) -> dict[str, Any]:
    """One schema for the cards of several workloads; a card's `workload` chooses its sections."""
    return {
        "$schema": DIALECT,
        "title": "Run card",
        "type": "object",
        "required": ["workload"],
        "properties": {"workload": {"enum": [spec.name for spec in specs]}},
        "allOf": [{"if": _is_of(spec), "then": {"$ref": f"#/$defs/{spec.name}"}} for spec in specs],
        "$defs": {spec.name: _schema_of(spec) for spec in specs},
    }


def _is_of(spec: WorkloadSpec) -> dict[str, Any]:
    return {"properties": {"workload": {"const": spec.name}}, "required": ["workload"]}


def _schema_of(spec: WorkloadSpec) -> dict[str, Any]:
    model = card_model(spec)
    template = f"#/$defs/{spec.name}/$defs/{{model}}"
    schema = model.model_json_schema(by_alias=True, mode="validation", ref_template=template)
    for section in _all_sections(model, set()):
        part = schema if section is model else schema["$defs"].get(section.__name__, {})
        for name, text in _field_texts(section).items():
            if field := part.get("properties", {}).get(section.model_fields[name].alias or name):
                field.setdefault("description", text)
    return schema


def _all_sections(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    seen.add(model)
    yield model
    for section in sections_below(model):
        if section not in seen:
            yield from _all_sections(section, seen)


@lru_cache(maxsize=256)
def _field_texts(section: type[BaseModel]) -> dict[str, str]:
    """What stands below each field in the source. Read here and not by pydantic, which would do it at every start."""
    found: dict[str, str] = {}
    for owner in reversed(section.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel and owner.__module__ != "pydantic.main":
            found |= _texts_of(owner)
    return {name: text for name, text in found.items() if name in section.model_fields}


def _texts_of(owner: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError, SyntaxError):  # a class that was put together at run time has no source
        return {}
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)).body
    pairs = pairwise(body)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
