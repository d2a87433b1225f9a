"""Do the card's paths stay where they belong?"""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.card.schema.base import leaves_workspace
from cardrunner.card.schema.card import Card
from cardrunner.specs import Remark, WorkloadSpec


def local_data(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Data on this machine stands in the workspace or in a folder that the environment names, never elsewhere."""
    del spec
    if card.infra.platform != "local":
        return
    for number, file in enumerate(card.data.source):
        if leaves_workspace(file.path):
            from cardrunner.workspace import DATA_VARIABLE

            at = () if len(card.data.source) == 1 else (number,)
            message = f"leaves the workspace; write a relative path, and set {DATA_VARIABLE} to the folder it starts in"
            yield Remark(loc=("data", "source", *at), message=message)
