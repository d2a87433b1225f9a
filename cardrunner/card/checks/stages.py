"""Checks of plug-in stages that a card lists: each is installed and listed once."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.schema.card import Card
from cardrunner.common.text import did_you_mean
from cardrunner.specs import Remark


def installed_stages(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Every name is that of an installed stage. Entry points are looked up only if the card lists stages."""
    del spec
    if not card.extra_stages:
        return
    from cardrunner.plugins import find_plugin  # most cards list no stages

    for index, name in enumerate(card.extra_stages):
        if name in card.extra_stages[:index]:
            yield Remark(loc=("extra_stages", index), message=f"{name} is listed twice")
        elif find_plugin("stage", name) is None:
            yield Remark(loc=("extra_stages", index), message=_unknown(name))


def _unknown(name: str) -> str:
    from cardrunner.plugins import group_of, plugins

    known = [plugin.name for plugin in plugins("stage")]
    group = group_of("stage")
    there = f"there are {', '.join(known)}" if known else f"no installed package has entry points in {group}"
    return f'unknown stage "{name}"{did_you_mean(name, known, otherwise=f"; {there}")}'
