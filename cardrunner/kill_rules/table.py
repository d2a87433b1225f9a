"""The table of kill rules. A rule is recognised by the key only it has, so that a card reads as a sentence:
``{metric: val_loss, not_decreasing_for: 2 epochs, action: stop}``.

A kind is imported, and its checks are built, when the first card has a rule of it: most cards use two or three, and
whoever validates one waits for no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Annotated, Any, cast

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from cardrunner.kill_rules.base import Rule
from cardrunner.kill_rules.quantities import QUANTITIES

KEYS = {
    "event": "event:EventRule",
    "not_decreasing_for": "stalled:NotDecreasing",
    "not_increasing_for": "stalled:NotIncreasing",
    "non_finite": "non_finite:NonFinite",
    "equals": "equals:Equals",
    "relative_to": "relative:RelativeLimit",
}
"""The key that tells a rule -> its class."""
LIMITS = {"quantity": "limits:QuantityLimit", "limit": "limits:MetricLimit"}
"""Rules without such a key, which have a limit."""
KINDS = KEYS | LIMITS


@cache
def rule_class(kind: str) -> type[Rule]:
    """The class of a kind of rule."""
    module, name = KINDS[kind].split(":")
    return cast("type[Rule]", getattr(import_module(f"cardrunner.kill_rules.{module}"), name))


def kind_of(value: Any) -> str:
    """Which kind of rule is written there, or was read."""
    if isinstance(value, Rule):
        return next(kind for kind in KINDS if type(value) is rule_class(kind))
    keys = value if isinstance(value, dict) else {}
    kind, metric = next((key for key in KEYS if key in keys), None), keys.get("metric")
    return kind or ("quantity" if isinstance(metric, str) and metric in QUANTITIES else "limit")


class Kinds:
    """Marks a field of a card that holds a rule of any kind; tells pydantic how it is read."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _union({kind: _reader(kind) for kind in KINDS})

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(_union({kind: named_schema(rule_class(kind)) for kind in KINDS}))

    @staticmethod
    def members() -> Iterator[tuple[type[Rule], str]]:
        """Every kind's class and tag."""
        return ((rule_class(kind), _tag(kind)) for kind in KINDS)


def _union(choices: Mapping[str, CoreSchema]) -> CoreSchema:
    tags = {_tag(kind): choice for kind, choice in choices.items()}
    return core_schema.tagged_union_schema(tags, lambda value: _tag(kind_of(value)))


def _tag(kind: str) -> str:
    """In angle brackets, so that no key of a card can be mistaken for it."""
    return f"<{kind}>"


def _reader(kind: str) -> CoreSchema:
    return core_schema.no_info_plain_validator_function(partial(_read, kind))


def _read(kind: str, value: Any) -> Rule:
    return rule_class(kind).model_validate(value)


def named_schema(found: type[BaseModel]) -> CoreSchema:
    """A class's schema under its name, so that it is described once and referred to."""
    found.model_rebuild()
    name = f"{found.__module__}.{found.__qualname__}:{id(found)}"
    return cast("CoreSchema", {**found.__pydantic_core_schema__, "ref": name})


KillRule = Annotated[Rule, Kinds()]
