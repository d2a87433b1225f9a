"""The texts that editors show beside a field: its description, which names the unit, and examples."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cardrunner.card.contracts import OffersExamples, OffersStarter, WorkloadSpec
from cardrunner.card.explain import sections_below
from cardrunner.card.reading.reader import read_document
from cardrunner.card.schema.base import Described
from cardrunner.kill_rules import Rule
from cardrunner.kill_rules.table import rule_class, rule_classes

EXAMPLES = Path(__file__).with_name("examples.yaml")
MAX_EXAMPLES = 3
Schema = dict[str, Any]
Place = tuple[type[BaseModel], str]


@dataclass
class FieldExamples:
    """Values of real cards, by section and key."""

    found: dict[Place, list[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, workloads: Iterable[tuple[WorkloadSpec, type[BaseModel]]]) -> FieldExamples:
        """Examples of every workload, then those of each workload's own starter and of the fields it leaves out."""
        examples = cls()
        common = _read(EXAMPLES.read_text(encoding="utf-8"), EXAMPLES.name)
        common["kill_thresholds"] = [_as_json(dict(found.example)) for found in rule_classes()]
        for spec, model in workloads:
            own = _read(spec.field_examples(), spec.name) if isinstance(spec, OffersExamples) else {}
            examples._walk({key: value for key, value in common.items() if key not in own}, [model])
            if isinstance(spec, OffersStarter):
                examples._walk(_read(spec.starter(), spec.name), [model])
            examples._walk(own, [model])
        return examples

    def at(self, section: type[BaseModel], key: str) -> Sequence[Any]:
        """The example values of a field."""
        return next((self.found[owner, key] for owner in section.__mro__ if (owner, key) in self.found), [])

    def _walk(self, value: Any, sections: Sequence[type[BaseModel]]) -> None:
        if isinstance(value, list):
            for item in value:
                self._walk(item, sections)
        if not isinstance(value, dict):
            return
        if any(issubclass(section, Rule) for section in sections):
            sections = [rule_class(value)]
        holder = max(sections, key=lambda section: _fit(value, section), default=None)
        if holder is None or not _fit(value, holder):
            for item in value.values():  # freely chosen names, each with a section
                self._walk(item, sections)
            return
        names = {inner.alias or name: name for name, inner in holder.model_fields.items()}
        for key, item in value.items():
            if key in names:
                for owner in _owners(holder, names[key]):
                    known = self.found.setdefault((owner, key), [])
                    known += [item] if item is not None and item not in known and len(known) < MAX_EXAMPLES else []
                self._walk(item, list(sections_below(holder, only=names[key])))


def described(shown: Schema, sections: Mapping[str, Schema], text: str | None, examples: Sequence[Any]) -> Schema:
    """A field's schema with a description and examples.

    Args:
        shown: the schema generated from the types.
        sections: the schemas that it may refer to.
        text: the docstring of the field in the source.
        examples: values of real cards.
    """
    kept = {key: value for key, value in shown.items() if key != "title"}
    if "default" in shown and not _as_written(shown["default"], shown):
        del kept["default"]  # such as the bytes of a size that cards write with a unit
    unit = next(_unit_texts(shown), None)
    whole = text or next(_section_texts(shown, sections), None)
    words = [part for part in (whole, unit) if part]
    values = list(examples) or list(_own_examples(kept)) or list(_smallest(kept))
    return {
        **kept,
        **({"description": " ".join(dict.fromkeys(words))} if words else {}),
        **({"examples": values[:MAX_EXAMPLES]} if values else {}),
    }


def _as_written(value: Any, shown: Schema) -> bool:
    """Whether a default has the form written in cards, rather than the parsed one."""
    parts = [shown, *shown.get("anyOf", ()), *shown.get("oneOf", ())]
    texts_only = all(part.get("type", "string") in ("string", "null") for part in parts[1:] or parts)
    return not (texts_only and isinstance(value, int | float) and "$ref" not in shown)


def _smallest(shown: Schema) -> Iterator[int]:
    """The smallest positive whole number that is valid."""
    for part in (shown, *shown.get("anyOf", ())):
        if part.get("type") == "integer":
            yield max(part.get("minimum", 1), 1)


def _unit_texts(shown: Schema) -> Iterator[str]:
    """The descriptions that the value's type gives, such as its unit."""
    if "description" in shown:
        yield shown["description"]
    for part in (*shown.get("anyOf", ()), *shown.get("oneOf", ())):
        yield from _unit_texts(part)
    if isinstance(shown.get("items"), dict):
        yield from _unit_texts(shown["items"])
    if isinstance(shown.get("additionalProperties"), dict):
        yield from _unit_texts(shown["additionalProperties"])


def _section_texts(shown: Schema, sections: Mapping[str, Schema]) -> Iterator[str]:
    """The descriptions of the sections that are valid there."""
    if "$ref" in shown:
        text = sections[shown["$ref"].rpartition("/")[2]].get("description", "")
        yield text.partition("\n\n")[0].replace("\n", " ")
    for part in (*shown.get("anyOf", ()), *shown.get("oneOf", ()), shown.get("items")):
        if isinstance(part, dict):
            yield from _section_texts(part, sections)


def _own_examples(shown: Schema) -> Iterator[Any]:
    yield from shown.get("examples", ())
    yield from shown.get("enum", ())
    if "const" in shown:
        yield shown["const"]
    if shown.get("type") == "boolean":
        yield from (True, False)
    if shown.get("default") not in (None, [], {}):
        yield shown["default"]
    for part in (*shown.get("anyOf", ()), *shown.get("oneOf", ())):
        yield from _own_examples(part)


def _fit(value: Mapping[str, Any], section: type[BaseModel]) -> int:
    """The number of keys of a value that a section knows; 0 if it knows fewer than half of them."""
    keys = {inner.alias or name for name, inner in section.model_fields.items()}
    known = len(keys & value.keys())
    return known if 2 * known > len(value) else 0


def _owners(section: type[BaseModel], name: str) -> Iterator[type[BaseModel]]:
    """The classes that declare a field, so that subclasses share the example."""
    return (owner for owner in section.__mro__ if name in vars(owner).get("__annotations__", {}))


def _read(text: str, workload: str) -> Any:
    return _as_json(read_document(text.encode(), file=workload).value())


def _as_json(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value


@lru_cache(maxsize=256)
def field_texts(section: type[BaseModel]) -> dict[str, str]:
    """The docstrings of fields, read from the source. pydantic could read them too, but would do so at every start."""
    found: dict[str, str] = {}
    for owner in reversed(section.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel and owner.__module__ != "pydantic.main":
            found |= _texts_of(owner)
    marks = ((name, mark) for name, inner in section.model_fields.items() for mark in inner.metadata)
    found |= {name: mark.text for name, mark in marks if isinstance(mark, Described)}
    return {name: text for name, text in found.items() if name in section.model_fields}


def _texts_of(owner: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError, SyntaxError):  # a class created at run time has no source
        return {}
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)).body
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
