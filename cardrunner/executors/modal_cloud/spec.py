"""The part of the platform modal that needs no SDK: its section of a card, its checks, its rows for reviewers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator

from cardrunner.card.contracts import Assumption, Carried, PlatformSpec, Storage
from cardrunner.card.prices import Price, gpu_names, read_prices
from cardrunner.card.schema.base import Identifier, Line, Seconds
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import InfraBase
from cardrunner.common.text import nearest
from cardrunner.common.units import format_hourly_rate
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import MOUNT, NAME
from cardrunner.specs import Remark

MOST_GPUS = 8
"""Of one container."""
PRICE_TOLERANCE = 0.05
"""The relative difference between the card's price and the table's above which there is a warning."""


def _attempt(seconds: float) -> float:
    if not 1 <= seconds <= 86400:
        raise ValueError("must be from 1s to 24h, which is what Modal allows for one attempt")
    return seconds


def _volume_folder(path: str) -> str:
    if re.fullmatch(r"/[A-Za-z0-9._/-]*", path) and ".." not in path.split("/"):
        return path
    raise ValueError("is not a folder on the volume; write an absolute path such as /checkpoints")


class ModalInfra(InfraBase):
    """Modal."""

    platform: Literal["modal"]
    """Where the run happens: modal is the Modal cloud."""
    gpu: Line
    timeout: Annotated[Seconds, AfterValidator(_attempt)]
    """At most 24 hours per attempt, which is Modal's limit."""
    detach: bool = True
    """Let the run outlive the client that started it."""
    volume: Line
    """The volume with the data and the checkpoints."""
    checkpoints: Annotated[str, AfterValidator(_volume_folder)] = "/checkpoints"
    """The folder on the volume that holds run folders."""
    secrets: tuple[Identifier, ...] = ()
    """Names of Modal secrets; never their content."""
    packages: tuple[Line, ...] = ()
    """Extra pip requirements of the image."""
    system_packages: tuple[Line, ...] = ()
    """Extra system packages of the image."""


def infra_of(card: Card) -> ModalInfra:
    """The card's section about Modal.

    Raises:
        EnvironmentFailed: the card is for another platform.
    """
    if not isinstance(card.infra, ModalInfra):
        raise EnvironmentFailed(f"the card {card.name} is for the platform {card.infra.platform}, not for Modal")
    return card.infra


def storage_of(infra: ModalInfra) -> Storage:
    """The card's volume."""
    return Storage(infra.volume, infra.checkpoints, f"Modal volume {infra.volume}")


class ModalPlatform:
    """Modal, as a `cardrunner.card.contracts.PlatformSpec`."""

    name: str = NAME
    infra: type[InfraBase] = ModalInfra
    free: bool = False
    resumes_after_timeout: bool = True
    carried: Carried = Carried((MOUNT, "/tmp", "/dev"), largest_file=64_000_000, largest_code=512_000_000)

    def unpinned(self, infra: ModalInfra) -> Iterator[Remark]:
        """Packages of the image without a version."""
        for index, line in enumerate(infra.packages):
            if not re.search(r"==|@", line):
                message = f"{line} pins no version, so that two images may differ; write {line}==VERSION"
                yield Remark(loc=("infra", "packages", index), message=message)

    def executor_of(self, infra: ModalInfra) -> str:  # noqa: ARG002
        """The only executor, modal."""
        return NAME

    def detaches(self, infra: ModalInfra) -> bool:
        """As the card says under ``infra.detach``."""
        return infra.detach

    def storage(self, infra: ModalInfra) -> Storage:
        """The card's volume."""
        return storage_of(infra)

    def prices(self) -> Mapping[str, Price]:
        """The price table of the package."""
        return read_prices()

    def check(self, card: Card) -> Iterator[Remark]:
        """What Modal would refuse only after building the image, and a price that differs from the table."""
        infra = infra_of(card)
        yield from _machine(infra)
        yield from _price(infra)
        yield from _data_on_the_volume(card, infra)

    def title(self, infra: ModalInfra) -> str:
        """The row Platform of the review page: Modal, detached or attached."""
        return f"Modal ({'detached' if infra.detach else 'attached'})"

    def rows(self, infra: ModalInfra) -> Sequence[tuple[str, str]]:
        """The volume, and the secrets and packages of the image."""
        named = {"Secrets": infra.secrets, "Packages": infra.packages, "System packages": infra.system_packages}
        image = [(label, ", ".join(values)) for label, values in named.items() if values]
        return [("Volume", infra.volume), ("Checkpoints", infra.checkpoints), *image]

    def unchecked(self, card: Card, *, offline: str | None) -> Iterable[Assumption]:
        """What only Modal knows: the volume, the secrets, its prices, and whether there is a GPU."""
        infra = infra_of(card)
        yield from _unasked(infra, offline) if offline is not None else _asked(infra)
        yield Assumption(
            f"whether {infra.gpu} is free, and how long the run waits for it",
            "only the launch shows it",
        )
        if infra.packages or infra.system_packages:
            yield Assumption("whether the image can be built with the card's packages", "it is built at the launch")


SPEC: PlatformSpec = ModalPlatform()


def _machine(infra: ModalInfra) -> Iterator[Remark]:
    """Check the GPUs: all in one container, and of a kind that Modal offers."""
    if infra.gpus > MOST_GPUS:
        message = (
            f"is {infra.gpus}, and one Modal container has at most {MOST_GPUS} GPUs; a run trains on one machine: "
            f"write gpus: {MOST_GPUS} with a larger kind, such as H200, and more gradient_accumulation"
        )
        yield Remark(loc=("infra", "gpus"), message=message)
    if infra.gpu not in (offered := gpu_names()):
        yield Remark(loc=("infra", "gpu"), message=_unknown(infra.gpu, offered))


def _unknown(gpu: str, offered: tuple[str, ...]) -> str:
    name, colon, count = gpu.partition(":")
    if colon and name in offered:
        many = f" and gpus: {int(count)}" if count.isascii() and count.isdigit() else ", and how many under gpus"
        return f"names the GPU alone; write gpu: {name}{many}"
    near = nearest(gpu, offered, cutoff=0.7) or next((known for known in offered if known.lower() == gpu.lower()), None)
    hint = f'did you mean "{near}"?' if near else f"there are {', '.join(offered)}"
    return f"is no GPU that Modal offers; {hint}"


def _price(infra: ModalInfra) -> Iterator[Remark]:
    """Check the price per GPU and hour against the table."""
    listed = read_prices().get(infra.gpu)
    if infra.price is None or listed is None or listed.usd is None:
        return
    if abs(infra.price - listed.usd) > PRICE_TOLERANCE * listed.usd:
        there = f"{format_hourly_rate(listed.usd)} for {listed.resource} ({listed.source}, {listed.as_of})"
        message = f"is {format_hourly_rate(infra.price)}, the price table has {there}; time and cost use the card's"
        yield Remark(loc=("infra", "price"), message=message, severity="warning")


def _data_on_the_volume(card: Card, infra: ModalInfra) -> Iterator[Remark]:
    """Check that data files have paths from the root of the volume."""
    files = () if card.data.is_synthetic else card.data.source
    for number, file in enumerate(files):
        if not file.path.startswith("/") or ".." in file.path.split("/"):
            at = () if len(files) == 1 else (number,)
            message = f"is on the volume {infra.volume}: write the path from its root, such as /encoded.pt"
            if card.code is not None and card.code.folder is not None:
                message += "; a file of the code needs no entry, the digest of the code covers it"
            yield Remark(loc=("data", "source", *at), message=message)


def _unasked(infra: ModalInfra, offline: str) -> Iterator[Assumption]:
    yield Assumption(f"whether the volume {infra.volume} exists and {infra.checkpoints} can be written", offline)
    yield Assumption("whether Modal still asks these prices", f"{offline}; the table of the package may be out of date")
    if infra.secrets:
        yield Assumption(f"whether the secrets {', '.join(infra.secrets)} exist", offline)


def _asked(infra: ModalInfra) -> Iterator[Assumption]:
    what = f"whether {infra.checkpoints} on the volume can be written, and what the data holds"
    yield Assumption(what, "the launch finds out, in a container without a GPU")
