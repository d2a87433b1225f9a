"""Every value of a card or a section, with its path, in card notation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from cardrunner.common.units import Every, format_every

_WORDS = {None: "not set", True: "true", False: "false"}


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One value of a card. `stated` is False for a default."""

    path: str
    value: Any
    stated: bool


def leaves(value: object, path: str = "", *, stated: bool = True) -> Iterator[Leaf]:
    """Every value below a section, in the schema's order.

    Args:
        value: a section, a mapping, a list or a plain value of a card.
        path: its place in the card.
        stated: whether the card writes it.
    """
    inner = list(_inside(value))
    if not inner:
        yield Leaf(path=path, value=value, stated=stated)
    for step, item, written in inner:
        joined = f"{path}{step}" if step.startswith("[") or not path else f"{path}.{step}"
        yield from leaves(item, joined, stated=stated and written)


def worded(value: object) -> str:
    """A value in card notation: ``100 steps``, ``true``, ``0.001``, ``1024``."""
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, Every):
        return format_every(value)
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, tuple | Mapping):
        return ", ".join(map(worded, value)) or "none"
    return str(value)


def _inside(value: object) -> Iterator[tuple[str, object, bool]]:
    """The parts of a value that have a path of their own: step, part, whether it is written."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield field.alias or name, getattr(value, name), name in value.model_fields_set
    elif isinstance(value, Mapping):
        yield from ((str(key), item, True) for key, item in value.items())
    elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        yield from ((f"[{index}]", item, True) for index, item in enumerate(value))
