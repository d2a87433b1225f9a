"""The page of events, made from their models: ``python -m cardrunner.runs.event_page > docs/events.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import getdoc
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cardrunner.card.schema_texts import field_texts
from cardrunner.runs.event_model import Audience, Event
from cardrunner.runs.events import EVENTS, ResumePoint
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.records import Environment, GitTree, PluginCode, State

_HEAD = """\
# Events

Made by `python -m cardrunner.runs.event_page > docs/events.md` from the models in `cardrunner/runs/events.py`.

What happens to a run is recorded in its `ledger.jsonl`: one event a line, each a JSON object, appended whole and never
changed. The keys `at` (when it was written: RFC 3339, UTC, milliseconds) and `event` (its name) are on every line,
`attempt` on the lines that belong to an attempt. A number that is not finite is one of the texts `NaN`, `Infinity`
and `-Infinity`.

An event is at version 1 unless its line says `version`. A reader keeps what it does not know: a line of an unknown
name or of another version is an `UnknownEvent` with all that the line says, and unknown keys stay with their event.
An optional key may be absent, as it is in older ledgers; a value of the wrong type reads as if it were absent.
A line without a key that its event needs is an `UnknownEvent` too. A line that is torn is left out.
"""
_AUDIENCES = {
    Audience.NONE: "shown nowhere",
    Audience.SCREEN: "shown on the screen",
    Audience.RESULTS: "listed in the results card",
    Audience.BOTH: "shown on the screen and listed in the results card",
}


def page() -> str:
    """The whole page."""
    parts = (_HEAD, *map("\n".join, map(_section, EVENTS.values())), *map("\n".join, map(_object, _OBJECTS)))
    return "\n".join(parts)


_OBJECTS: tuple[type[BaseModel], ...] = (ResumePoint, Environment, GitTree, PluginCode, ProcessIdentity)


def _section(kind: type[Event]) -> Iterator[str]:
    yield f"## `{kind.event}`\n"
    yield f"{_prose(getdoc(kind))}\n"
    yield f"`{kind.__name__}`, version {kind.version}, {_AUDIENCES[kind.audience]}.\n"
    yield from _table(kind)


def _object(kind: type[BaseModel]) -> Iterator[str]:
    yield f"## The object `{kind.__name__}`\n"
    yield f"{_prose(getdoc(kind))}\n"
    yield from _table(kind)


def _prose(text: str | None) -> str:
    return " ".join((text or "").replace("``", "`").split())


def _table(kind: type[BaseModel]) -> Iterator[str]:
    texts = field_texts(kind)
    fields = {name: field for name, field in kind.model_fields.items() if name not in ("at", "attempt")}
    if not fields:
        return
    yield "| Key | Value | Meaning |"
    yield "| --- | --- | --- |"
    for name, field in fields.items():
        optional = "" if field.is_required() else "Optional."
        yield f"| `{name}` | {_type(field)} | {' '.join(filter(None, (_prose(texts.get(name)), optional)))} |"
    yield ""


def _type(field: FieldInfo) -> str:
    return " or ".join(map(_word, get_args(field.annotation) if _is_union(field) else (field.annotation,)))


def _is_union(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _word(kind: object) -> str:
    words = {
        State: "a state",
        Any: "object",
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        type(None): "null",
    }
    if kind in words:
        return words[kind]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"`{kind.__name__}`"
    if all(isinstance(word, str) for word in get_args(kind)):
        return ", ".join(f"`{word}`" for word in get_args(kind))
    if getattr(kind, "__origin__", None) is not tuple:
        return "object"
    item = get_args(kind)[0]
    return "list of texts" if item is str else f"list of {_word(item)}"


if __name__ == "__main__":
    sys.stdout.write(page())
