"""Plug-ins of other packages: found by entry points, loaded once, and blamed by name when they fail.

A package adds something to a table of cardrunner by an entry point in the group of its kind (see `group_of`)::

    [project.entry-points."cardrunner.kill_rules"]
    rises_by = "acme_rules.rises_by:RisesBy"

The tables are in the modules that use them, which look here for unknown names. Entry points are read only then, or to
list everything: scanning what is installed takes longer than reading a card.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cardrunner.common.text import listed
from cardrunner.errors import CardrunnerError, PluginFailed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_LOADED: dict[str, Plugin] = {}
"""Top-level module -> its plug-in, for the plug-ins loaded in this process."""


@dataclass(frozen=True)
class Plugin:
    """One entry point of another package."""

    kind: str
    """The kind of thing it adds, such as ``kill rule``."""
    name: str
    """Its name in a card."""
    target: str
    """``module:object``."""
    package: str
    version: str
    only_here: bool = False
    """It is found because the interpreter was started in the folder that it lies in, and in no other way."""

    def __str__(self) -> str:
        return f"the {self.kind} {self.name} of {self.package} {self.version}"

    @property
    def module(self) -> str:
        """The top-level module of its code."""
        return self.target.partition(":")[0].partition(".")[0]

    def load(self) -> Any:
        """Import the object that it adds.

        Raises:
            PluginFailed: it cannot be imported, or its module has no such attribute.
        """
        return self.resolve(self.target)

    def resolve(self, target: str) -> Any:
        """Import ``module:object``, a part of this plug-in.

        Raises:
            PluginFailed: it cannot be imported, or its module has no such attribute.
        """
        name, _, path = target.partition(":")
        _LOADED[name.partition(".")[0]] = self
        with blamed(self, "cannot be imported"):
            found: Any = importlib.import_module(name)
            for part in filter(None, path.split(".")):
                if not hasattr(found, part):
                    raise PluginFailed(f"{self}: {_module_file(found)} has no attribute {part!r}, named by {target}")
                found = getattr(found, part)
        return found

    def need(self, modules: Iterable[str]) -> None:
        """Check that modules are installed, without importing them.

        Raises:
            PluginFailed: some are missing; the message names all of them.
        """
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            raise PluginFailed(f"{self} needs {listed(missing)}; install {'it' if len(missing) == 1 else 'them'}")

    def make(self, attributes: Mapping[str, str], target: str | None = None) -> Any:
        """Import it, instantiate it if it is a class, and check the object.

        Args:
            attributes: for `check`.
            target: ``module:object`` of a part; None for the plug-in itself.

        Raises:
            PluginFailed: it cannot be imported or made, or `check` fails.
        """
        found = self.resolve(target or self.target)
        if missing := getattr(found, "__abstractmethods__", ()):
            raise self._lacks(sorted(missing))
        with blamed(self, "cannot be made"):
            made = found() if isinstance(found, type) else found
        self.check(made, attributes)
        return made

    def check(self, found: object, attributes: Mapping[str, str]) -> None:
        """Check that an object has the attributes that its kind needs.

        Args:
            found: the loaded object.
            attributes: required attribute -> its purpose. An attribute ``name`` must equal the plug-in's name.

        Raises:
            PluginFailed: attributes are missing, and the message names all of them; or its name differs.
        """
        missing = [f"{name} ({meaning})" for name, meaning in attributes.items() if not hasattr(found, name)]
        if missing:
            raise self._lacks(missing)
        if "name" in attributes and (name := found.name) != self.name:  # type: ignore[attr-defined]
            raise PluginFailed(f"{self}: {self.target} is called {name!r}; give both the same name")

    def _lacks(self, missing: Iterable[str]) -> PluginFailed:
        return PluginFailed(f"{self}: {self.target} lacks {', '.join(missing)}; see CONTRIBUTING.md for what it needs")


def group_of(kind: str) -> str:
    """The entry-point group of a kind of plug-in: ``kill rule`` -> ``cardrunner.kill_rules``."""
    return f"cardrunner.{kind.replace(' ', '_')}s"


def plugins(kind: str) -> tuple[Plugin, ...]:
    """Every installed plug-in of a kind, by name."""
    from importlib.metadata import entry_points  # its import takes longer than reading a card

    points = entry_points(group=group_of(kind))
    return tuple(sorted((_plugin(kind, point) for point in points), key=lambda plugin: plugin.name))


@cache
def find_plugin(kind: str, name: str) -> Plugin | None:
    """The plug-in of that name; None if no package has it.

    Raises:
        PluginFailed: several packages have one of that name, or its package is not installed and only lies in the
            current folder, from which no process of a run imports.
    """
    found = [plugin for plugin in plugins(kind) if plugin.name == name]
    if len(found) > 1:
        packages = listed(f"{plugin.package} {plugin.version}" for plugin in found)
        raise PluginFailed(f"the {kind} {name} comes from {packages}; uninstall all but one")
    if found and found[0].only_here:
        raise PluginFailed(
            f"{found[0]} only lies in the current folder, where no worker looks; `pip install -e .` there"
        )
    return found[0] if found else None


class Blamed:
    """Wraps an object of a plug-in, so that any exception of its methods is reported as the plug-in's failure."""

    def __init__(self, plugin: Plugin, own: object) -> None:
        self._plugin, self._own = plugin, own

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._own, name)
        return self._wrapped(found) if inspect.ismethod(found) else found

    def _wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any, **named: Any) -> Any:
            with blamed(self._plugin, "failed"):
                return method(*arguments, **named)

        return call


@contextmanager
def blamed(plugin: Plugin, what: str) -> Iterator[None]:
    """Report any exception inside the block as the failure of a plug-in.

    Args:
        plugin: the plug-in whose code runs.
        what: the failure, as the rest of a sentence: ``cannot be imported``.

    Raises:
        PluginFailed: the block raised an exception that is not a `CardrunnerError`.
    """
    try:
        yield
    except CardrunnerError:
        raise
    except Exception as error:
        raise PluginFailed(f"{plugin} {what}: {_cause(error)}{_place(error, plugin)}{_advice(error)}") from error


def blamed_plugin(error: BaseException) -> str | None:
    """The sentence that names the plug-in whose code raised an error; None if no plug-in did.

    The innermost frame in the code of a plug-in decides, so an error in a library is blamed on its caller.
    """

    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for module, plugin in _LOADED.items():
            if _is_below(frame.filename, module):
                return f"{plugin} failed at {frame.filename}:{frame.lineno}: {_cause(error)}"
    return None


def _plugin(kind: str, point: EntryPoint) -> Plugin:
    package = point.dist.name if point.dist else "an unknown package"
    version = point.dist.version if point.dist else "?"
    here = Path.cwd()
    only_here = (
        point.dist is not None
        and not sys.flags.safe_path
        and Path(str(point.dist.locate_file(""))).resolve() == here
        and here not in {Path(entry).resolve() for entry in sys.path[1:] if entry}
    )
    return Plugin(kind=kind, name=point.name, target=point.value, package=package, version=version, only_here=only_here)


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}" if str(error) else type(error).__name__


def _place(error: BaseException, plugin: Plugin) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    modules = [plugin.module, *(module for module, owner in _LOADED.items() if owner == plugin)]
    own = [frame for frame in frames if any(_is_below(frame.filename, module) for module in modules)]
    return f" at {own[-1].filename}:{own[-1].lineno}" if own else ""


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"; install the package that has the module {error.name.partition('.')[0]}"
    return ""


def _is_below(file: str, module: str) -> bool:
    """Whether a file belongs to a top-level module, which may be a package or a single file."""
    spec = importlib.util.find_spec(module)
    places = spec and (spec.submodule_search_locations or filter(None, [spec.origin]))
    return any(Path(file).is_relative_to(place) for place in places or ())


def _module_file(found: object) -> str:
    return getattr(found, "__file__", None) or (found.__name__ if isinstance(found, ModuleType) else repr(found))
