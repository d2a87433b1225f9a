"""A platform of another package: this machine, with a worker that gives way to everything else on it."""

import subprocess
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cardrunner import registry
from cardrunner.card.contracts import Assumption
from cardrunner.card.platforms import PlatformEntry
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import InfraBase
from cardrunner.executors.local import LocalExecutor, start_process, worker_command
from cardrunner.executors.local_spec import ThisMachine
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from cardrunner.specs import Remark


class NiceInfra(InfraBase):
    """This machine, politely."""

    platform: Literal["nice"]
    """Where the run happens: nice is this machine at a low priority."""
    niceness: Annotated[int, Field(ge=0, le=19)] = 10
    """How far the worker gives way; 19 is the furthest."""


class NicePlatform(ThisMachine):
    """See `cardrunner.card.contracts.PlatformSpec`."""

    name = "nice"
    infra = NiceInfra

    def title(self, infra: NiceInfra) -> str:
        return f"this machine, at niceness {infra.niceness}"

    def rows(self, infra: NiceInfra) -> Sequence[tuple[str, str]]:
        return [("Niceness", str(infra.niceness))]

    def check(self, card: Card) -> Iterator[Remark]:
        yield from super().check(card)
        if card.infra.gpus > 1:
            yield Remark(loc=("infra", "gpus"), message="is for platforms with more than one; niceness is the CPU's")

    def unchecked(self, card: Card, *, offline: str | None) -> Iterator[Assumption]:
        yield from super().unchecked(card, offline=offline)
        yield Assumption("how often the worker gets a processor", "it gives way to whatever else runs then")


class NiceExecutor(LocalExecutor):
    """Starts the worker under nice(1)."""

    name: ClassVar[str] = "nice"

    def start_worker(self, folder: RunFolder) -> "subprocess.Popen[bytes]":
        infra = load_frozen(folder, registry.workload_spec).card.infra
        assert isinstance(infra, NiceInfra)
        return start_process(folder, ["nice", "-n", str(infra.niceness), *worker_command(folder)])


SPEC = NicePlatform()
PLATFORM = PlatformEntry("acme_nice:SPEC", {"nice": "acme_nice:NiceExecutor"})
