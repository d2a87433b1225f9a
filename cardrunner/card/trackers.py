"""The trackers that a card can ask for, and their descriptions, which need no tracking library.

The table holds strings that are resolved on use, because trackers import this module. Another package adds a
tracker by an entry point in the group ``cardrunner.trackers``, which names a `TrackerSpec` of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema, core_schema

from cardrunner.card.schema.base import ADDED, Described, Section
from cardrunner.card.values import leaves, worded
from cardrunner.errors import PluginFailed
from cardrunner.kill_rules.table import named_schema
from cardrunner.plugins import Plugin, blamed, find_plugin, plugins

KIND = "tracker"
TRACKERS: dict[str, str] = {
    "wandb": "cardrunner.tracking.wandb_spec:SPEC",
    "tensorboard": "cardrunner.tracking.tensorboard_spec:SPEC",
}
"""The name in a card -> where its `TrackerSpec` is."""


class TrackerSpec:
    """Describes a tracker without importing its library; a `cardrunner.contracts.Tracker` does the work.

    ::

        class CsvSettings(Section):
            '''Rows of numbers in a csv file of the run folder.'''

            file: Line = "history.csv"

        class CsvSpec(TrackerSpec):
            title = "CSV"
            tracker = "acme_trackers.csv_run:CsvTracker"
            settings = CsvSettings

        SPEC = CsvSpec()
    """

    title: str
    """Its name in texts."""
    tracker: str
    """``module:class`` of the tracker; imported in the tracker's own process."""
    settings: type[Section] | type[bool]
    """The type of ``infra.tracking.NAME``: a section, or bool if there are no settings."""
    needs: tuple[str, ...] = ()
    """Modules that the tracker imports."""
    description: str | None = None
    """The description that editors show; by default the docstring of the section."""
    later: bool = True
    """Whether cards that do not ask for it keep the digest from before the tracker existed."""

    @property
    def purpose(self) -> str:
        """The purpose of its packages, as a verb phrase."""
        return f"track runs with {self.title}"

    def rows(self, settings: Any) -> Iterable[tuple[str, str]]:
        """Its rows on the review page: one per setting."""
        stated = [f"{leaf.path} {worded(leaf.value)}" for leaf in leaves(settings) if leaf.path]
        yield self.title, ", ".join(stated) or "yes"

    def place(self, settings: Any) -> str:
        """Where it keeps the run, phrased to follow the word "tracked"."""
        del settings
        return f"by {self.title}"

    def unchecked(self, settings: Any) -> Iterable[tuple[str, str]]:
        """What can be checked only after the launch, each with the reason."""
        del settings
        return ()


_NEEDED = {
    "title": "its name in texts",
    "tracker": "the place of the class that tracks",
    "settings": "the type of its settings below infra.tracking",
    "needs": "the modules it imports",
    "rows": "its rows of the review page",
    "place": "where it keeps the run",
    "unchecked": "what cannot be checked before the launch",
}


@dataclass(frozen=True)
class FoundTracker:
    """A tracker with its name and its package."""

    name: str
    spec: TrackerSpec
    plugin: Plugin | None
    """The package it comes from; None for a built-in tracker."""


@dataclass(frozen=True)
class AskedTracker:
    """A tracker that a card asks for, with what the card says below its name."""

    found: FoundTracker
    settings: Any

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Rows of the review page.

        Raises:
            PluginFailed: a plug-in tracker raises.
        """
        with self._blamed("cannot give its rows of the review page"):
            return tuple(self.found.spec.rows(self.settings))

    def sentence(self) -> str:
        """Where it keeps the run, phrased to follow the word "tracked".

        Raises:
            PluginFailed: a plug-in tracker raises.
        """
        with self._blamed("cannot say where it keeps the run"):
            return self.found.spec.place(self.settings)

    def unchecked(self) -> tuple[tuple[str, str], ...]:
        """What can be checked only after the launch, each with the reason.

        Raises:
            PluginFailed: a plug-in tracker raises.
        """
        with self._blamed("cannot say what is left unchecked"):
            return tuple(self.found.spec.unchecked(self.settings))

    def _blamed(self, what: str) -> AbstractContextManager[None]:
        return nullcontext() if self.found.plugin is None else blamed(self.found.plugin, what)


@cache
def find_tracker(name: str) -> FoundTracker | None:
    """The tracker of a name; None if no package provides it.

    Raises:
        PluginFailed: a plug-in tracker cannot be imported or lacks an attribute.
    """
    if name in TRACKERS:
        module, _, attribute = TRACKERS[name].partition(":")
        return FoundTracker(name, getattr(import_module(module), attribute), None)
    plugin = find_plugin(KIND, name)
    if plugin is None:
        return None
    spec = plugin.load()
    plugin.check(spec, _NEEDED)
    if hasattr(Tracking, name) or name.startswith("_"):
        raise PluginFailed(f"{plugin}: a section of a card cannot have a key of this name")
    if spec.settings is not bool and not (isinstance(spec.settings, type) and issubclass(spec.settings, Section)):
        raise PluginFailed(f"{plugin}: settings of {plugin.target} is neither a Section nor bool")
    return FoundTracker(name, spec, plugin)


def tracker_names() -> tuple[str, ...]:
    """The names of all installed trackers, including plug-ins."""
    return (*TRACKERS, *(plugin.name for plugin in plugins(KIND)))


class Tracking(Section):
    """Trackers in addition to the run's own history."""

    @property
    def asked(self) -> tuple[AskedTracker, ...]:
        """The trackers that the card asks for."""
        found = ((find_tracker(name), self.settings_of(name)) for name in type(self).model_fields)
        return tuple(AskedTracker(tracker, settings) for tracker, settings in found if tracker and settings)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of the trackers that the card asks for."""
        return tuple(name for name in type(self).model_fields if self.settings_of(name))

    def settings_of(self, name: str) -> Any:
        """The settings of a tracker; None or False if the card does not ask for it."""
        return getattr(self, name, None)


class Trackers:
    """Marks the field of a card that holds `Tracking`; tells pydantic how it is read.

    The section has a field for every built-in tracker, and one for each plug-in tracker that the card names.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(
            core_schema.definitions_schema(named_schema(_of_all()), [])
        )  # by reference, so that it is defined once

    @staticmethod
    def members() -> Iterator[tuple[type[Section], None]]:
        """The section with a field for every tracker that can be imported."""
        yield _of_all(), None


def untracked() -> Tracking:
    """The section of a card without trackers."""
    return tracking_section().model_construct()


@cache
def tracking_section(*others: str) -> type[Tracking]:
    """The section with a field for each built-in tracker and for some plug-in trackers.

    Args:
        others: the names of the plug-in trackers.
    """
    found = filter(None, map(find_tracker, (*TRACKERS, *others)))
    fields: dict[str, Any] = {tracker.name: _field(tracker.spec) for tracker in found}
    return create_model("Tracking", __base__=Tracking, __doc__=Tracking.__doc__, **fields)


def _field(spec: TrackerSpec) -> tuple[Any, Any]:
    is_switch = spec.settings is bool
    kind: Any = bool if is_switch else spec.settings | None
    kind = Annotated[kind, Described(spec.description)] if spec.description else kind
    return (Annotated[kind, ADDED] if spec.later else kind), (False if is_switch else None)


def _read(value: Any) -> Tracking:
    if isinstance(value, Tracking):
        return value
    names = [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []
    others = (name for name in names if name not in TRACKERS and find_plugin(KIND, name))
    return tracking_section(*sorted(others)).model_validate(value)


def _of_all() -> type[Tracking]:
    return tracking_section(*(plugin.name for plugin in plugins(KIND) if _can_be_had(plugin)))


def _can_be_had(plugin: Plugin) -> bool:
    """Whether a tracker can be loaded. One that fails is reported when a card asks for it and ignored otherwise."""
    try:
        return find_tracker(plugin.name) is not None
    except PluginFailed:
        return False
