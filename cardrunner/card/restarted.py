"""Cards as they are after a restart: everything that a rule changes, together, has to hold like the card itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cardrunner.card.arithmetic import check_card
from cardrunner.card.changes import CHANGEABLE, changed_card, changes_few
from cardrunner.card.schema.card import Card
from cardrunner.errors import UsageError
from cardrunner.specs import Location, Remark, WorkloadSpec


def check_restarted(card: Card, value: Mapping[str, Any], spec: WorkloadSpec) -> Iterator[Remark]:
    """Faults of the training that a restart would go on with. What the card states is about the card as signed.

    Args:
        card: a card without faults.
        value: the same as read.
        spec: its workload.
    """
    if not changes_few(card):
        return
    for index, rule in enumerate(card.kill_thresholds):
        loc: Location = ("kill_thresholds", index, "set")
        if not rule.set:
            continue
        try:
            changed = changed_card(value, type(card), rule.set)
        except UsageError as error:
            yield Remark(loc=loc, message=f"together: {error}")
            continue
        for remark in check_card(changed, spec):
            if remark.severity == "error" and remark.loc[0] in CHANGEABLE:
                yield Remark(loc=(*loc, *_place(remark.loc, rule.set)), message=remark.message)


def _place(loc: Location, changes: Mapping[str, Any]) -> Location:
    """The key of a change that a finding is about; none where it is about several, or about what stayed."""
    path = ".".join(str(step) for step in loc)
    return (path,) if path in changes else ()
