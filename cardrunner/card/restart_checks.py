"""Restarts: could going on with other values help, or would the run only come back to the same place?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cardrunner.card.schema.card import Card
from cardrunner.kill_rules.quantities import QUANTITIES
from cardrunner.specs import Location, Remark, WorkloadSpec

_FIXED = {
    "training.optimizer": "a restart goes on from a checkpoint, which holds the state of {value}",
    "infra.price": "what an hour costs is not the run's to change; the budget is metered with it",
    "infra.platform": "a restart goes on where the run is",
}
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
            if path in _FIXED:
                yield Remark(loc=(*loc, "set", path), message=_FIXED[path].format(value=old))
            elif old == new and type(old) is type(new):
                message = "is the card's own value: the restart would change nothing and end up here again"
                yield Remark(loc=(*loc, "set", path), message=message)


def _value(card: Card, path: str) -> Any:
    """What the card has at a path now; nothing that equals anything where it has nothing."""
    value: Any = card
    for name in path.split("."):
        value = value.get(name, _ABSENT) if isinstance(value, dict) else getattr(value, name, _ABSENT)
    return value
