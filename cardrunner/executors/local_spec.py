"""The torch-free half of the platform local: this machine. Other platforms on this machine extend `ThisMachine`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from cardrunner.card.contracts import Assumption, PlatformSpec, Storage
from cardrunner.card.prices import Price
from cardrunner.card.schema.base import leaves_workspace
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.infra import InfraBase
from cardrunner.specs import Remark


class LocalInfra(InfraBase):
    """This machine."""

    platform: Literal["local"]
    """Where the run happens: local is this machine."""
    executor: Literal["inline", "local"] = "local"
    """In this process, or in a process of its own."""


class ThisMachine:
    """Defaults for a platform whose runs and data are on this machine; see `cardrunner.card.contracts.PlatformSpec`."""

    name: str
    infra: type[InfraBase]
    free: bool = True
    resumes_after_timeout: bool = False

    def executor_of(self, infra: Any) -> str:  # noqa: ARG002
        """The executor with the platform's name."""
        return self.name

    def detaches(self, infra: Any) -> bool:  # noqa: ARG002
        """False: a launch waits for the end of the run."""
        return False

    def storage(self, infra: Any) -> Storage | None:  # noqa: ARG002
        """None: runs and data are in the workspace."""
        return None

    def prices(self) -> Mapping[str, Price]:
        """Empty: there is no price table for this machine."""
        return {}

    def check(self, card: Card) -> Iterable[Remark]:
        """Check that data paths are relative to the workspace or to the data folder that the environment names."""
        for number, file in enumerate(card.data.source):
            if leaves_workspace(file.path):
                from cardrunner.workspace import DATA_VARIABLE  # only this fault needs it

                at = () if len(card.data.source) == 1 else (number,)
                message = (
                    f"leaves the workspace; write a relative path, and set {DATA_VARIABLE} to the folder it starts in"
                )
                yield Remark(loc=("data", "source", *at), message=message)

    def title(self, infra: Any) -> str:  # noqa: ARG002
        """The row Platform of the review page."""
        return "this machine"

    def rows(self, infra: Any) -> Sequence[tuple[str, str]]:  # noqa: ARG002
        """No rows beyond those of every platform."""
        return ()

    def unchecked(self, card: Card, *, offline: str | None) -> Iterator[Assumption]:  # noqa: ARG002
        """Whether there is a GPU, if the card needs one."""
        if card.infra.gpu or card.training.wants_gpu:
            yield Assumption(f"whether {card.infra.gpu or 'a GPU'} is there and free", "a plan imports no torch")


class LocalPlatform(ThisMachine):
    """The worker runs in its own process, or in the launching one."""

    name: str = "local"
    infra: type[InfraBase] = LocalInfra

    def executor_of(self, infra: LocalInfra) -> str:
        """The executor that the card names."""
        return infra.executor

    def title(self, infra: LocalInfra) -> str:
        """The row Platform of the review page, with the process."""
        return f"this machine, in {'this process' if infra.executor == 'inline' else 'a process of its own'}"


SPEC: PlatformSpec = LocalPlatform()
