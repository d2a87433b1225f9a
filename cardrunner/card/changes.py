"""A card with changed values, by path: what a restart trains with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cardrunner.card.reading.document import format_path
from cardrunner.card.schema.card import Card
from cardrunner.common.text import listed
from cardrunner.errors import UsageError
from cardrunner.specs import Location, Remark

CHANGEABLE = ("training", "infra")
"""The sections that a restart may change; data, model and the rules of the run stay as they were signed."""
MAX_CHANGES = 16
_LIKE = {"training": "batch_size", "infra": "timeout"}


def changed_card(value: Mapping[str, Any], model: type[Card], *changes: Mapping[str, Any]) -> Card:
    """The card with some fields replaced. Stated sums are not checked again: they describe the card as signed.

    Args:
        value: a valid card as read (`Document.value()`).
        model: its card model.
        changes: values by path as a card writes them, such as ``{"training.batch_size": 512}``; later ones win.

    Raises:
        UsageError: a path is not a field that may change, or the result is not a valid card.
    """
    changed = dict(value)
    for change in changes:
        for path, new in change.items():
            changed = _with(changed, tuple(path.split(".")), new, path)
    try:
        return model.model_validate(changed)
    except ValidationError as error:
        raise UsageError(_why(error, model)) from None


def changes_few(card: Card) -> bool:
    """Whether the rules together change few enough fields to check each changed card as a whole in bounded time."""
    return sum(len(rule.set or ()) for rule in card.kill_thresholds) <= MAX_CHANGES


def check_restarts(card: Card, value: Mapping[str, Any]) -> Iterator[Remark]:
    """Every restart states its changes, and each changed value is valid."""
    few = changes_few(card)
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index)
        if rule.action == "restart" and not rule.set:
            yield Remark(
                loc=(*loc, "action"), message="a restart needs set: what to change, such as {training.batch_size: 512}"
            )
        if rule.action != "restart" and rule.set is not None:
            yield Remark(loc=(*loc, "set"), message=f"is only for action: restart, and this is {rule.action}")
            continue
        changes = rule.set or {}
        if len(changes) > MAX_CHANGES:
            yield Remark(loc=(*loc, "set"), message=f"changes more than {MAX_CHANGES} fields; that is another card")
            continue
        for path, new in changes.items():
            try:
                if few:
                    changed_card(value, type(card), {path: new})
                else:
                    _check_change(value, type(card), path, new)
            except UsageError as error:
                yield Remark(loc=(*loc, "set", path), message=str(error))


def _check_change(value: Mapping[str, Any], model: type[Card], path: str, new: Any) -> None:
    """Validate only the section that changes, as no check of the whole card involves it; for few changes, the card's
    validator is faster than building one for the section."""
    section, *_ = steps = tuple(path.split("."))
    changed = _with(value, steps, new, path)
    try:
        section_validator(model, section).validate_python(changed[section])
    except ValidationError as error:
        raise UsageError(_why(error, model, section)) from None


@lru_cache(maxsize=256)
def section_validator(model: type[Card], section: str) -> TypeAdapter[Any]:
    """A validator of one field of a card model."""
    return TypeAdapter(model.model_fields[section].rebuild_annotation())


def _with(section: Mapping[str, Any], path: tuple[str, ...], new: Any, whole: str) -> dict[str, Any]:
    key, *rest = path
    if whole in CHANGEABLE:
        raise UsageError(
            f"is a whole section; write the path of each field that changes, such as {whole}.{_LIKE[whole]}"
        )
    if whole.partition(".")[0] not in CHANGEABLE:
        raise UsageError(f"a restart may only change {listed(CHANGEABLE)}; write a path such as training.batch_size")
    if not rest:
        return {**section, key: new}
    inner = section.get(key, {})
    if not isinstance(inner, Mapping):
        raise UsageError("is not a field of the card: that value has no fields")
    return {**section, key: _with(inner, tuple(rest), new, whole)}


def _why(error: ValidationError, model: type[Card], *section: str) -> str:
    """The first finding about the changed value, with its place if that is another one."""
    from cardrunner.card.explain import known_keys, sentence  # needed only for faults

    detail = error.errors(include_url=False)[0]
    detail["loc"] = (*section, *detail["loc"])
    loc = tuple(step for step in detail["loc"] if not str(step).startswith("<"))
    said = sentence([detail], keys=known_keys(model, detail["loc"][:-1]))
    return f"{format_path(loc)} {said}" if detail["type"] == "value_error" else said
