"""What Modal can and cannot do with a card, as far as it is known without asking."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import ModalInfra
from cardrunner.specs import Remark, WorkloadSpec

MOST_GPUS = 8
"""In one container."""


def one_machine(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """All GPUs of a run are in one container; several machines are refused where they are asked for."""
    del spec
    infra = card.infra
    if isinstance(infra, ModalInfra) and infra.gpus > MOST_GPUS:
        message = (
            f"is {infra.gpus}, and one Modal container has at most {MOST_GPUS} GPUs; a run trains on one machine: "
            f"write gpus: {MOST_GPUS} with a larger kind, such as H200, and more gradient_accumulation"
        )
        yield Remark(loc=("infra", "gpus"), message=message)


def data_on_the_volume(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """Data files are named from the root of the volume, where they stand in any container."""
    del spec
    if not isinstance(card.infra, ModalInfra) or card.data.is_synthetic:
        return
    for number, file in enumerate(card.data.source):
        if not file.path.startswith("/") or ".." in file.path.split("/"):
            at = () if len(card.data.source) == 1 else (number,)
            message = f"is on the volume {card.infra.volume}: write the path from its root, such as /encoded.pt"
            yield Remark(loc=("data", "source", *at), message=message)
