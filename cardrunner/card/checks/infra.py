"""The GPU and its price: a name that the platform takes, and about what it asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.card.prices import gpu_names, read_prices
from cardrunner.card.schema.base import leaves_workspace
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import ModalInfra
from cardrunner.specs import Remark, WorkloadSpec
from cardrunner.text import nearest
from cardrunner.units import format_hourly_rate

PRICE_TOLERANCE = 0.05
"""How far the card's price may be from the table's before people are told."""


def known_gpu(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A GPU name that Modal takes: a wrong one would fail only there, after the image is built."""
    del spec
    gpu, offered = card.infra.gpu, gpu_names() if isinstance(card.infra, ModalInfra) else ()
    if gpu is not None and offered and gpu not in offered:
        yield Remark(loc=("infra", "gpu"), message=_unknown(gpu, offered))


def price_of_the_table(card: Card, spec: WorkloadSpec) -> Iterator[Remark]:
    """A price per GPU and hour that is not the one of the table."""
    del spec
    infra = card.infra
    listed = read_prices().get(infra.gpu or "") if isinstance(infra, ModalInfra) else None
    if infra.price is None or listed is None or listed.usd is None:
        return
    if abs(infra.price - listed.usd) > PRICE_TOLERANCE * listed.usd:
        there = f"{format_hourly_rate(listed.usd)} for {listed.resource} ({listed.source}, {listed.as_of})"
        message = f"is {format_hourly_rate(infra.price)}, the price table has {there}; time and cost use the card's"
        yield Remark(loc=("infra", "price"), message=message, severity="warning")


def _unknown(gpu: str, offered: tuple[str, ...]) -> str:
    name, colon, count = gpu.partition(":")
    if colon and name in offered:
        many = f" and gpus: {int(count)}" if count.isascii() and count.isdigit() else ", and how many under gpus"
        return f"names the GPU alone; write gpu: {name}{many}"
    near = nearest(gpu, offered, cutoff=0.7) or next((known for known in offered if known.lower() == gpu.lower()), None)
    hint = f'did you mean "{near}"?' if near else f"there are {', '.join(offered)}"
    return f"is no GPU that Modal offers; {hint}"


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
