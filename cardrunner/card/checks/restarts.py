"""Restarts: could going on with other values help, or would the run only come back to the same place?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cardrunner.card.changes import CHANGEABLE
from cardrunner.card.schema.card import Card
from cardrunner.kill_rules.quantities import QUANTITIES
from cardrunner.specs import Location, Remark, WorkloadSpec

_FIXED = {
    "training.optimizer": "a restart goes on from a checkpoint, which holds the state of {value}",
    "training.processes": "a restart goes on from a checkpoint, which so many processes wrote",
    "training.seed": "a restart goes on in the middle of an epoch, whose order of examples follows from the seed",
    "training.epochs": "a restart goes on to the same end",
    "training.select": "one metric chooses the best checkpoint of the whole run",
    "infra.price": "what an hour costs is not the run's to change; the budget is metered with it",
    "infra": "a restart goes on where the run is",
}
"""What a restart cannot change: a field, or all that is below it. The first that fits says why."""
_FREE = ("infra.timeout", "infra.retries")
_ABSENT = object()


def restarts(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Fields that a restart cannot change, restarts that change nothing, and rules that would fire again at once."""
    del spec
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index)
        if rule.action != "restart":
            continue
        if rule.watches in QUANTITIES and QUANTITIES[rule.watches].grows:
            message = f"{rule.watches} only grows: after the restart the rule would fire again; stop or investigate"
            yield Remark(loc=(*loc, "action"), message=message)
        for path, new in (rule.set or {}).items():
            old = _value(card, path)
            if path.partition(".")[0] not in CHANGEABLE:
                continue  # which is said already
            if (fixed := _fixed(path)) is not None:
                yield Remark(loc=(*loc, "set", path), message=_FIXED[fixed].format(value=old))
            elif old == new and type(old) is type(new):
                message = "is the card's own value: the restart would change nothing and end up here again"
                yield Remark(loc=(*loc, "set", path), message=message)


def _fixed(path: str) -> str | None:
    """The entry of `_FIXED` that forbids a path."""
    within = (name for name in _FIXED if f"{path}.".startswith(f"{name}."))
    return None if path in _FREE else next(within, None)


def _value(card: Card, path: str) -> Any:
    """What the card has at a path now; nothing that equals anything where it has nothing."""
    value: Any = card
    for name in path.split("."):
        value = value.get(name, _ABSENT) if isinstance(value, dict) else getattr(value, name, _ABSENT)
    return value
