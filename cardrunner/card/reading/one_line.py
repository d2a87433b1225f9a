"""A plain value as one line of YAML that reads back as exactly that value, in block and in flow context."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

PlainValue: TypeAlias = "str | int | float | bool | Sequence[PlainValue] | Mapping[str, PlainValue] | None"

# words that every YAML version reads as text, alone or beside brackets
_BARE = re.compile(r"[A-Za-z][A-Za-z_-]*")
_NOT_BARE = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def one_line(value: PlainValue) -> str:
    """``{"id": "scav", "ok": True}`` as ``{id: scav, ok: true}``.

    Raises:
        ValueError: a number that a card cannot hold.
    """
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {one_line(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(one_line(inner) for inner in value) + "]"


def _number(value: float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not math.isfinite(value):
        raise ValueError("a card needs finite numbers")
    return repr(value)


def _text(text: str) -> str:
    if _BARE.fullmatch(text) and text.casefold() not in _NOT_BARE:
        return text
    return '"' + "".join(_ESCAPES.get(character) or _visible(character) for character in text) + '"'


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
