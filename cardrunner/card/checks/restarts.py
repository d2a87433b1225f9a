"""Checks of restarts: can the changed values help, or would the run end up where it was?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cardrunner.card.changes import CHANGEABLE
from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.schema.card import Card
from cardrunner.kill_rules.quantities import QUANTITIES
from cardrunner.specs import Location, Remark

_FIXED = {
    "training.optimizer": "a restart resumes from a checkpoint, which holds the state of {value}",
    "training.processes": "a restart resumes from a checkpoint, which depends on the number of processes",
    "training.seed": "a restart resumes in the middle of an epoch, whose order of examples follows from the seed",
    "training.epochs": "a restart keeps the planned number of epochs",
    "training.select": "one metric chooses the best checkpoint of the whole run",
    "infra.price": "a restart cannot change the price; the budget is metered with it",
    "infra": "a restart continues where the run is",
}
"""Fields that a restart cannot change, with everything below them, and the reason; the first match counts."""
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
                continue  # reported already
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
    """The card's present value at a path; `_ABSENT`, which equals no value, if there is no such path."""
    value: Any = card
    for name in path.split("."):
        value = value.get(name, _ABSENT) if isinstance(value, dict) else getattr(value, name, _ABSENT)
    return value
