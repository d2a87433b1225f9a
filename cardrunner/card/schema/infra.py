"""Where the run happens and what watches it."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from cardrunner.card.schema.base import (
    ByteCount,
    Count,
    HourlyRate,
    Identifier,
    Line,
    Lines,
    PositiveCount,
    Seconds,
    Section,
)
from cardrunner.card.trackers import Trackers, Tracking, untracked

PLATFORMS = ("local", "modal")


def _known_platform(value: Any) -> Any:
    if value not in PLATFORMS:
        raise ValueError(f"must be {' or '.join(PLATFORMS)}")
    return value


def _attempt(seconds: float) -> float:
    if not 1 <= seconds <= 86400:
        raise ValueError("must be from 1s to 24h, which is what Modal allows for one attempt")
    return seconds


def _volume_folder(path: str) -> str:
    if re.fullmatch(r"/[A-Za-z0-9._/-]*", path) and ".." not in path.split("/"):
        return path
    raise ValueError("is not a folder on the volume; write an absolute path such as /checkpoints")


class InfraBase(Section):
    """What every platform has."""

    gpu: Line | None = None
    """The GPU's name, such as T4; null for none."""
    gpus: PositiveCount = 1
    """How many of them; one process trains on each."""
    price: HourlyRate | None = None
    """Dollars per hour of the GPU; CPU and memory come on top where known."""
    cpu: Annotated[float, Field(gt=0)] | None = None
    """Cores asked for."""
    memory: ByteCount | None = None
    timeout: Seconds | None = None
    """The longest one attempt may take."""
    retries: Annotated[Count, Field(le=10)] = 0
    """How often the platform starts a failed attempt again."""
    tracking: Annotated[Tracking, Trackers()] = Field(default_factory=untracked)
    reason: Lines = ()
    """Why this machine."""


class LocalInfra(InfraBase):
    """This machine."""

    platform: Annotated[Literal["local"], BeforeValidator(_known_platform)]
    """Where the run happens: local is this machine."""
    executor: Literal["inline", "local"] = "local"
    """In this process, or in a process of its own."""


class ModalInfra(InfraBase):
    """Modal."""

    platform: Annotated[Literal["modal"], BeforeValidator(_known_platform)]
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

    def folder_of(self, run: str) -> str:
        """The folder of a run on the volume."""
        return f"{self.checkpoints.rstrip('/')}/{run}"


def _platform(value: Any) -> str:
    if not isinstance(value, dict):
        return f"<{getattr(value, 'platform', 'local')}>"
    found = value.get("platform")
    meant = "volume" in value if found not in PLATFORMS else found == "modal"
    return "<modal>" if meant else "<local>"


Infra = Annotated[
    Annotated[LocalInfra, Tag("<local>")] | Annotated[ModalInfra, Tag("<modal>")], Discriminator(_platform)
]
