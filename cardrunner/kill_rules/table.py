"""The table of kill rules. A rule is recognised by its distinctive key, so that a card reads as a sentence:
``{metric: val_loss, not_decreasing_for: 2 epochs, action: stop}``.

A kind is imported, and its validator built, when a card first uses it: most cards use two or three kinds, and reading
a card must stay fast. Another package adds a kind by an entry point in the group
``cardrunner.kill_rules``: its name is the distinctive key of the rule, its object a subclass of `Rule`. It is
looked up when a card has a key that is unknown here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NamedTuple, cast

from pydantic import BaseModel, GetJsonSchemaHandler, GetPydanticSchema
from pydantic_core import CoreSchema, core_schema

from cardrunner.common.text import nearest
from cardrunner.errors import PluginFailed
from cardrunner.kill_rules.base import Action, Observation, Rule, Verdict
from cardrunner.kill_rules.history import Baselines, Row, RuleHistory
from cardrunner.kill_rules.quantities import QUANTITIES
from cardrunner.plugins import Plugin, find_plugin, plugins

KIND = "kill rule"
KEYS = {
    "event": "event:EventRule",
    "not_decreasing_for": "stalled:NotDecreasing",
    "not_increasing_for": "stalled:NotIncreasing",
    "non_finite": "non_finite:NonFinite",
    "equals": "equals:Equals",
    "relative_to": "relative:RelativeLimit",
}
"""The distinctive key of a rule -> its class."""
LIMITS = {"quantity": "limits:QuantityLimit", "limit": "limits:MetricLimit"}
"""Rules without a distinctive key, which have a limit."""
SHARED_KEYS = frozenset(
    ("action", "why", "set", "after", "not_before", "within", "metric", "above", "below", "baseline", "min_delta")
)
"""Keys that several kinds share; with those of `KEYS`, all keys of built-in rules."""


def rule_class(written: object) -> type[Rule]:
    """The class of a rule as a card writes it; a rule without a distinctive key is a limit.

    Raises:
        PluginFailed: it is a plug-in rule that cannot be loaded.
    """
    keys = written if isinstance(written, dict) else {}
    key = next(iter(_keys_of_plugins(keys)), None)
    if key is not None and (plugin := find_plugin(KIND, key)) is not None:
        return _class_of(plugin)
    kind, metric = next((key for key in KEYS if key in keys), None), keys.get("metric")
    return _built_in(kind or ("quantity" if isinstance(metric, str) and metric in QUANTITIES else "limit"))


def rule_classes() -> tuple[type[Rule], ...]:
    """Every kind's class: those of cardrunner, then those of other packages that can be loaded."""
    return (*(_built_in(kind) for kind in KEYS | LIMITS), *_others())


def rule_keys(written: object) -> tuple[str, ...]:
    """The keys allowed in a rule as written, and those that would make it a plug-in rule."""
    return (*rule_class(written).model_fields, *sorted(_installed()))


def nearest_kind(key: str) -> str | None:
    """The key of a kind of rule, built in or of an installed package, that a misspelled one was meant to be."""
    return nearest(key, (*KEYS, *_installed()), cutoff=0.7)


def is_absent(key: str) -> bool:
    """Whether neither cardrunner nor an installed package has a rule with this key."""
    fields = {name for found in _others() for name in found.model_fields}
    return not (key in KEYS or key in SHARED_KEYS or key in _installed() or key in fields)


def read_rule(written: object) -> Rule:
    """Read a rule as a card writes it; a rule that was read already is returned as it is.

    Raises:
        pydantic.ValidationError: it is not a valid rule of its kind.
        PluginFailed: it is a plug-in rule that cannot be loaded.
    """
    return written if isinstance(written, Rule) else rule_class(written).model_validate(written)


def plugin_of(rule: Rule) -> Plugin | None:
    """The plug-in that a rule comes from; None for a built-in one."""
    key = next(iter(_keys_of_plugins(type(rule).model_fields)), None)
    return None if key is None else find_plugin(KIND, key)


@cache
def _built_in(kind: str) -> type[Rule]:
    module, name = (KEYS | LIMITS)[kind].split(":")
    return cast("type[Rule]", getattr(import_module(f"cardrunner.kill_rules.{module}"), name))


def _keys_of_plugins(keys: Iterable[object]) -> Iterator[str]:
    """The keys that only plug-in rules know."""
    unknown = [key for key in keys if isinstance(key, str) and key not in KEYS and key not in SHARED_KEYS]
    return (key for key in unknown if key in _installed())


@cache
def _installed() -> frozenset[str]:
    """The names of the plug-in rules."""
    return frozenset(plugin.name for plugin in plugins(KIND))


@cache
def _others() -> tuple[type[Rule], ...]:
    """The plug-in rules that can be loaded."""
    found: list[type[Rule]] = []
    for plugin in plugins(KIND):
        with suppress(PluginFailed):  # reported when a card asks for that rule
            found.append(_class_of(plugin))
    return tuple(found)


@cache
def _class_of(plugin: Plugin) -> type[Rule]:
    """The class that an entry point names.

    Raises:
        PluginFailed: it cannot be imported, or is not a kill rule with an example.
    """
    found = plugin.load()
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise PluginFailed(f"{plugin}: {plugin.target} is not a subclass of cardrunner.kill_rules.Rule")
    plugin.check(found, {"example": "a rule of the kind as a card writes it"})
    if plugin.name not in found.model_fields:
        raise PluginFailed(f"{plugin}: {plugin.target} has no field {plugin.name}, its distinctive key")
    return found


def _json_schema(_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
    """The schema of a rule: one of the kinds, by reference."""
    kinds = {found.__name__: named_schema(found) for found in rule_classes()}
    return handler(core_schema.tagged_union_schema(kinds, lambda written: rule_class(written).__name__))


def named_schema(found: type[BaseModel]) -> CoreSchema:
    """A reference to the schema of a class, which is defined once under its name."""
    found.model_rebuild()
    name = f"{found.__module__}.{found.__qualname__}:{id(found)}"
    return cast("CoreSchema", {**found.__pydantic_core_schema__, "ref": name})


KillRule = Annotated[
    Rule,
    GetPydanticSchema(lambda _type, _handler: core_schema.no_info_plain_validator_function(read_rule), _json_schema),
]
"""A field of a card that holds a rule of any kind."""


_SEVERITY: dict[Action, int] = {"warn": 0, "restart": 1, "investigate": 2, "stop": 3}


def judge(rules: Sequence[Rule], watched: RuleHistory) -> tuple[Verdict, ...]:
    """Every verdict on the newest row, the most severe action first."""
    return _gravest_first(rule.verdict(watched) for rule in rules)


def judge_event(rules: Sequence[Rule], event: str, at: Row) -> tuple[Verdict, ...]:
    """Every verdict on an event of the training loop, the most severe action first.

    Args:
        rules: rules of any kind; only those about events can fire.
        event: see `cardrunner.kill_rules.event.Event`.
        at: the moment; its kind is event.
    """
    return _gravest_first(rule.on_event(event, at) for rule in rules)


class Moment(NamedTuple):
    """A row of a history, what each rule saw there, and the verdicts."""

    row: Row
    seen: tuple[Observation | None, ...]
    verdicts: tuple[Verdict, ...]


def judge_all(rules: Sequence[Rule], rows: Iterable[Row], *, baselines: Baselines | None = None) -> Iterator[Moment]:
    """Judge a whole history, row by row."""
    watched = RuleHistory(baselines=baselines)
    for row in rows:
        watched.add(row)
        yield Moment(row, tuple(rule.observe_newest(watched) for rule in rules), judge(rules, watched))


def _gravest_first(found: Iterable[Verdict | None]) -> tuple[Verdict, ...]:
    verdicts = (verdict._replace(rule=number) for number, verdict in enumerate(found) if verdict is not None)
    return tuple(sorted(verdicts, key=lambda verdict: -_SEVERITY[verdict.action]))
