"""The table of platforms: the modules of their specs and executors.

A card names its platform under ``infra.platform``. Reading such a card imports the platform's torch-free spec
(`cardrunner.card.contracts.PlatformSpec`), and only running it imports an executor with its SDK. Another package adds a
platform by an entry point of its name in the group ``cardrunner.executors``::

    [project.entry-points."cardrunner.executors"]
    nice = "acme_nice:PLATFORM"

    PLATFORM = PlatformEntry("acme_nice.spec:SPEC", {"nice": "acme_nice.executor:NiceExecutor"})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from cardrunner.errors import UsageError
from cardrunner.plugins import Plugin, find_plugin, plugins

if TYPE_CHECKING:
    from cardrunner.card.contracts import PlatformSpec
    from cardrunner.card.schema.infra import InfraBase

KIND = "executor"


class PlatformEntry(NamedTuple):
    """The modules of a platform."""

    spec: str
    """``module:object`` of its `cardrunner.card.contracts.PlatformSpec`."""
    executors: Mapping[str, str]
    """Name -> ``module:class`` of each `cardrunner.contracts.Executor` that a card or ``--executor`` can choose."""


PLATFORMS: dict[str, PlatformEntry] = {
    "local": PlatformEntry(
        "cardrunner.executors.local_spec:SPEC",
        {
            "inline": "cardrunner.executors.inline:InlineExecutor",
            "local": "cardrunner.executors.local:LocalExecutor",
        },
    ),
    "modal": PlatformEntry(
        "cardrunner.executors.modal_cloud.spec:SPEC",
        {"modal": "cardrunner.executors.modal_cloud.executor:ModalExecutor"},
    ),
}

_SPEC_PARTS = {
    "name": "the platform's name",
    "infra": "its section of a card, a subclass of InfraBase",
    "free": "whether time on it costs nothing without a stated price",
    "resumes_after_timeout": "whether its retries continue after a timeout",
    "executor_of": "the executor that a card chooses",
    "detaches": "whether a launch returns once the run trains",
    "storage": "where runs and data are, or None for this machine",
    "prices": "its price table",
    "check": "what is wrong with a card",
    "title": "the row Platform of the review page",
    "rows": "further rows of the review page",
    "unchecked": "what a plan cannot check",
}


class OfferedExecutor(NamedTuple):
    """An executor of a platform, not yet imported."""

    name: str
    platform: str
    target: str
    plugin: Plugin | None
    """The plug-in that adds it; None for a built-in one."""


def platform_names() -> tuple[str, ...]:
    """The names of all installed platforms."""
    return (*PLATFORMS, *(plugin.name for plugin in plugins(KIND) if plugin.name not in PLATFORMS))


def is_platform(name: object) -> bool:
    """Whether it names an installed platform. Plug-ins are looked up only for other names than the built-in ones."""
    return isinstance(name, str) and (name in PLATFORMS or find_plugin(KIND, name) is not None)


@cache
def platform(name: str) -> PlatformSpec:
    """The spec of a platform.

    Raises:
        UsageError: no installed package has a platform of that name.
        PluginFailed: its plug-in cannot be used.
    """
    if name in PLATFORMS:
        module, _, attribute = PLATFORMS[name].spec.partition(":")
        return cast("PlatformSpec", getattr(import_module(module), attribute))
    plugin = find_plugin(KIND, name)
    if plugin is None:
        raise UsageError(f"unknown platform {name!r}; there are {', '.join(platform_names())}")
    spec = plugin.resolve(_entry(plugin).spec)
    plugin.check(spec, _SPEC_PARTS)
    return cast("PlatformSpec", spec)


def platform_of(infra: InfraBase) -> PlatformSpec:
    """The spec of the platform of a card's section."""
    return platform(infra.platform)


def executors_of(name: str) -> tuple[str, ...]:
    """The names of the executors of a platform.

    Raises:
        UsageError: no installed package has a platform of that name.
        PluginFailed: its plug-in cannot be used.
    """
    return tuple(executor.name for executor in _offered(name))


def executor_names() -> tuple[str, ...]:
    """The built-in executors and the platforms, which for plug-ins usually have the name of their executor."""
    own = (executor for entry in PLATFORMS.values() for executor in entry.executors)
    return tuple(dict.fromkeys((*own, *platform_names())))


def find_executor(name: str) -> OfferedExecutor | None:
    """The executor of that name; None if no platform has it.

    Raises:
        PluginFailed: a plug-in that may have it cannot be used.
    """
    for own in PLATFORMS:
        if name in PLATFORMS[own].executors:
            return next(executor for executor in _offered(own) if executor.name == name)
    likely = find_plugin(KIND, name)  # most platforms have one executor, of the same name
    others = [plugin.name for plugin in plugins(KIND)] if likely is None else [likely.name]
    return next((executor for other in others for executor in _offered(other) if executor.name == name), None)


def _offered(name: str) -> Iterator[OfferedExecutor]:
    plugin = None if name in PLATFORMS else find_plugin(KIND, name)
    entry = PLATFORMS[name] if plugin is None else _entry(plugin)
    yield from (OfferedExecutor(key, name, target, plugin) for key, target in entry.executors.items())


def _entry(plugin: Plugin) -> Any:
    entry = plugin.load()
    plugin.check(entry, {"spec": "module:object of its spec", "executors": "name -> module:class of its executors"})
    return entry
