"""Where the run happens and what watches it."""

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, field_validator
from pydantic_core import CoreSchema, core_schema

from cardrunner.card import platforms
from cardrunner.card.schema.base import (
    ByteCount,
    Count,
    HourlyRate,
    Line,
    Lines,
    PositiveCount,
    Seconds,
    Section,
)
from cardrunner.card.trackers import Trackers, Tracking, untracked
from cardrunner.errors import PluginFailed
from cardrunner.kill_rules.table import named_schema


class InfraBase(Section):
    """What every platform has. Each has its own section class; see `cardrunner.card.contracts.PlatformSpec`."""

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
    platform: str
    """Where the run happens; a platform narrows it to its own name."""

    @field_validator("platform", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        if not platforms.is_platform(value):
            *names, last = platforms.platform_names()
            raise ValueError(f"must be {', '.join(names)} or {last}")
        return value


_PLUGIN = "<plug-in>"
"""The tag of all that other packages bring, since which are installed is looked up only when a card names one."""


class Platforms:
    """Marks the field of a card that holds a platform's section; tells pydantic how it is read.

    A section class is imported, and its checks are built, when the first card of its platform is read.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        readers = {_tag(name): partial(_read, name) for name in platforms.PLATFORMS} | {_PLUGIN: _read_named}
        return _union({tag: core_schema.no_info_plain_validator_function(read) for tag, read in readers.items()})

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(
            _union({str(number): named_schema(section) for number, (section, _) in enumerate(self.members())})
        )

    @staticmethod
    def members() -> Iterator[tuple[type[InfraBase], str]]:
        """Every platform's section and tag; a plug-in that cannot be used fails only cards of its own."""
        for name in platforms.PLATFORMS:
            yield platforms.platform(name).infra, _tag(name)
        for name in platforms.platform_names()[len(platforms.PLATFORMS) :]:
            with contextlib.suppress(PluginFailed):
                yield platforms.platform(name).infra, _PLUGIN


def _union(choices: Mapping[str, CoreSchema]) -> CoreSchema:
    return core_schema.tagged_union_schema(dict(choices), _chosen)


def _tag(name: str) -> str:
    """In angle brackets, so that no key of a card can be mistaken for it."""
    return f"<{name}>"


def _chosen(value: Any) -> str:
    """Whose section is written there, or was read; with an unknown platform, the one that knows most of its keys."""
    name = value.get("platform") if isinstance(value, dict) else getattr(value, "platform", "local")
    if name in tuple(platforms.PLATFORMS):
        return _tag(name)
    if platforms.is_platform(name):
        return _PLUGIN
    keys = {name: platforms.platform(name).infra.model_fields.keys() for name in platforms.PLATFORMS}
    return _tag(max(keys, key=lambda name: len(keys[name] & value.keys())))


def _read(name: str, value: Any) -> InfraBase:
    return platforms.platform(name).infra.model_validate(value)


def _read_named(value: Any) -> InfraBase:
    return _read(value["platform"] if isinstance(value, dict) else value.platform, value)


Infra = Annotated[InfraBase, Platforms()]
