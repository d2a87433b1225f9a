"""A card with other values, by path: what a restart changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from cardrunner.card.document import format_path
from cardrunner.card.explain import known_keys, sentence
from cardrunner.card.schema.card import Card
from cardrunner.contracts import Location, Remark
from cardrunner.errors import UsageError

CHANGEABLE = ("training", "infra")
"""The sections that a restart may change; data, model and the rules of the run stay as they were signed."""


def changed_card(value: Mapping[str, Any], model: type[Card], changes: Mapping[str, Any]) -> Card:
    """The card with some fields replaced. Stated sums are not checked again: they are about the card as signed.

    Args:
        value: a checked card as read (`Document.value()`).
        model: its card model.
        changes: values by path as a card writes them, such as ``{"training.batch_size": 512}``.

    Raises:
        UsageError: a path is not a field that may change, or the result is no card.
    """
    changed = dict(value)
    for path, new in changes.items():
        changed = _with(changed, tuple(path.split(".")), new, path)
    try:
        return model.model_validate(changed)
    except ValidationError as error:
        raise UsageError(_why(error, model)) from None


def check_restarts(card: Card, value: Mapping[str, Any]) -> Iterator[Remark]:
    """A restart says what to change, and the changed card is a card."""
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index)
        if rule.action == "restart" and not rule.set:
            yield Remark(
                loc=(*loc, "action"), message="a restart needs set: what to change, such as {training.batch_size: 512}"
            )
        if rule.action != "restart" and rule.set is not None:
            yield Remark(loc=(*loc, "set"), message=f"is only for action: restart, and this is {rule.action}")
            continue
        for path, new in (rule.set or {}).items():
            try:
                changed_card(value, type(card), {path: new})
            except UsageError as error:
                yield Remark(loc=(*loc, "set", path), message=str(error))


def _with(section: Mapping[str, Any], path: tuple[str, ...], new: Any, whole: str) -> dict[str, Any]:
    key, *rest = path
    if whole.partition(".")[0] not in CHANGEABLE:
        raise UsageError(
            f"a restart may only change {' and '.join(CHANGEABLE)}; write a path such as training.batch_size"
        )
    if not rest:
        return {**section, key: new}
    inner = section.get(key, {})
    if not isinstance(inner, Mapping):
        raise UsageError("is not a field of the card: nothing stands below that")
    return {**section, key: _with(inner, tuple(rest), new, whole)}


def _why(error: ValidationError, model: type[Card]) -> str:
    """The first finding, which is about the changed value; with its place where it is elsewhere."""
    detail = error.errors(include_url=False)[0]
    loc = tuple(step for step in detail["loc"] if not str(step).startswith("<"))
    said = sentence([detail], keys=known_keys(model, detail["loc"][:-1]))
    return f"{format_path(loc)} {said}" if detail["type"] == "value_error" else said
