"""Name → "module:object": the tables of all implementations; those of executors are in `cardrunner.card.platforms`.

Values are strings, resolved on use, so that reading a card never imports torch. Another package adds a workload through
the entry-point group ``cardrunner.workloads``; see `cardrunner.workloads.plugged`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from cardrunner.card.contracts import OwnsDemo, UsesPlugins
from cardrunner.card.platforms import OfferedExecutor, executor_names, find_executor
from cardrunner.card.trackers import FoundTracker, find_tracker, tracker_names
from cardrunner.common.text import did_you_mean, listed
from cardrunner.errors import MissingExtra, PluginFailed, UsageError
from cardrunner.kill_rules.table import plugin_of
from cardrunner.plugins import Blamed, Plugin, blamed, find_plugin, plugins

if TYPE_CHECKING:
    from cardrunner.card.schema.card import Card
    from cardrunner.contracts import Executor, Side, Stage, Tracker, Workload, WorkloadSpec
    from cardrunner.workloads.plugged import PluggedWorkload

T = TypeVar("T")
_EXTRA_OF = {
    "torch": "train", "numpy": "train", "matplotlib": "train", "peppi_py": "melee", "pyarrow": "melee",
    "modal": "modal", "wandb": "wandb", "tensorboardX": "tensorboard",
}  # fmt: skip


class WorkloadEntry(NamedTuple):
    """The modules of the two halves of a workload."""

    spec: str
    workload: str
    needs: tuple[str, ...] = ("torch", "numpy")
    """The packages that its torch half imports."""


class StageEntry(NamedTuple):
    """A built-in stage: the side it runs on, and its module."""

    name: str
    side: Side
    target: str


class ToolEntry(NamedTuple):
    """A tool of a workload, with the packages it needs."""

    target: str
    needs: tuple[str, ...]
    purpose: str


WORKLOADS: dict[str, WorkloadEntry] = {
    "toy": WorkloadEntry("cardrunner.workloads.toy.spec:SPEC", "cardrunner.workloads.toy.workload:WORKLOAD"),
    "melee-policy": WorkloadEntry(
        "cardrunner.workloads.melee.policy.spec:SPEC", "cardrunner.workloads.melee.policy.workload:WORKLOAD"
    ),
    "melee-world-model": WorkloadEntry(
        "cardrunner.workloads.melee.world_model.spec:SPEC", "cardrunner.workloads.melee.world_model.workload:WORKLOAD"
    ),
    "command": WorkloadEntry(
        "cardrunner.workloads.command.spec:SPEC", "cardrunner.workloads.command.workload:WORKLOAD", needs=()
    ),
}
_FIRST_DEMO = "cardrunner.workloads.melee.demo.section:MatchDemo"
"""The demo section of a workload that names none: the one that all cards had at first, so that those that were signed
keep their digests."""
DEFAULT_WORKLOAD = "melee-policy"
"""The workload of `cardrunner new` unless one is given."""
STAGES: tuple[StageEntry, ...] = (
    StageEntry("load", "worker", "cardrunner.stages.load:STAGE"),
    StageEntry("train", "worker", "cardrunner.stages.train:STAGE"),
    StageEntry("checkpoint", "worker", "cardrunner.stages.checkpoint:STAGE"),
    StageEntry("download", "launcher", "cardrunner.stages.download:STAGE"),
    StageEntry("demo", "launcher", "cardrunner.stages.demo:STAGE"),
)
"""In the order of a run. A card may add stages of other packages; see `stages`."""
_EXECUTOR_PARTS = {
    "survives_client": "whether its jobs outlive the process that submitted them",
    "finishes_unattended": "whether the results card is made automatically",
    "start_seconds": "how long a worker may take to begin",
    "submit": "starts a run",
    "attach": "finds a job again by its id",
}
_TRACKER_METHODS = {
    "open": "begins or resumes the run",
    "log": "sends a row of the history",
    "alert": "alerts people",
    "close": "ends it",
}
TOOLS: dict[str, ToolEntry] = {
    "encode-parts": ToolEntry(
        "cardrunner.workloads.melee.encoding.encode_parts:PARTS", ("peppi_py", "torch", "numpy"), "encode recordings"
    ),
    "encode": ToolEntry(
        "cardrunner.workloads.melee.encoding.encode:encode", ("peppi_py", "torch", "numpy"), "encode recordings"
    ),
}


_STAGE_PARTS = {
    "name": "that of its entry point",
    "side": "worker or launcher",
    "run": "what it does",
    **dict.fromkeys(
        (
            "after",
            "long",
            "record",
            "done",
            "absence",
            "outcome",
            "checkpoints",
            "needs_data",
            "reads",
            "after_remote_run",
        ),
        "cardrunner.stages.base.BaseStage has it",
    ),
}


def workload_names() -> tuple[str, ...]:
    """The names of all installed workloads."""
    return (*WORKLOADS, *(plugin.name for plugin in plugins("workload") if plugin.name not in WORKLOADS))


def workload_spec(name: str) -> WorkloadSpec:
    """The torch-free half of a workload.

    Raises:
        UsageError: no installed package has it.
        PluginFailed: its plug-in cannot be used.
    """
    # scanning the installed packages takes longer than reading a card
    spec = _resolve(WORKLOADS[name].spec, purpose=f"read a {name} card") if name in WORKLOADS else _plugged(name).spec()
    if not isinstance(spec, OwnsDemo):
        with suppress(AttributeError):  # a frozen one keeps the fields that every demo has
            cast("Any", spec).demo_section = _resolve(_FIRST_DEMO, purpose=f"read a {name} card")
    return cast("WorkloadSpec", spec)


def workload(name: str) -> Workload:
    """The torch half of a workload.

    Raises:
        UsageError: no installed package has it.
        MissingExtra: its packages are not installed.
        PluginFailed: its plug-in cannot be used.
    """
    check_installed(name)
    if name not in WORKLOADS:
        return _plugged(name).workload()
    return cast("Workload", _resolve(WORKLOADS[name].workload, purpose=f"run the workload {name}"))


def check_installed(name: str) -> None:
    """Check that the packages of a workload are installed, without the seconds that importing them takes.

    Raises:
        MissingExtra: one is not installed.
    """
    needs = WORKLOADS[name].needs if name in WORKLOADS else _plugged(name).needs
    _need(needs, purpose=f"run the workload {name}")


class WorkloadRow(NamedTuple):
    """An installed workload, as `cardrunner workloads` lists it."""

    name: str
    package: str
    version: str
    spec: WorkloadSpec | None
    """None if it cannot be used."""
    fault: str | None
    """Why it cannot be used, or which package its training lacks."""


def workload_rows() -> Iterator[WorkloadRow]:
    """A row for every installed workload, including those that cannot be used."""
    from cardrunner.runs.environment import own_version  # slow to import

    for name in WORKLOADS:
        yield WorkloadRow(name, "cardrunner", own_version(), workload_spec(name), _lack(name))
    for plugin in plugins("workload"):
        yield WorkloadRow(plugin.name, plugin.package, plugin.version, *_plugged_row(plugin))


def _plugged_row(plugin: Plugin) -> tuple[WorkloadSpec | None, str | None]:
    if plugin.name in WORKLOADS:
        return None, f"{plugin} has the name of a workload of cardrunner; rename its entry point"
    try:
        return workload_spec(plugin.name), _lack(plugin.name)
    except PluginFailed as failed:
        return None, str(failed)


def _lack(name: str) -> str | None:
    try:
        check_installed(name)
    except MissingExtra as missing:
        return str(missing)
    return None


def _plugged(name: str) -> PluggedWorkload:
    plugin = find_plugin("workload", name)
    if plugin is None:
        raise _unknown(workload_names(), name, "workload")
    from cardrunner.workloads.plugged import plugged_workload  # only needed for workloads of other packages

    return plugged_workload(plugin)


def plugins_of(card: Card, *, executor: str) -> tuple[Plugin, ...]:
    """Every plug-in that a run of a card uses, sections of its results card included.

    Args:
        card: the card.
        executor: the name of the one that runs it.

    Raises:
        UsageError: no installed package has its workload or the executor.
        PluginFailed: a plug-in cannot be used.
    """
    spec = workload_spec(card.workload)
    found: list[Plugin | None] = [
        None if card.workload in WORKLOADS else find_plugin("workload", card.workload),
        *(spec.used_plugins(card) if isinstance(spec, UsesPlugins) else ()),
        *map(_stage_plugin, card.extra_stages),
        *map(plugin_of, card.kill_thresholds),
        *(asked.found.plugin for asked in card.infra.tracking.asked),
        offered_executor(executor).plugin,
        *plugins("results section"),
    ]
    return tuple(plugin for plugin in found if plugin is not None)


def stages(side: Side, extra: Sequence[str] = ()) -> tuple[Stage, ...]:
    """The stages of a side in their order.

    Args:
        side: worker or launcher.
        extra: the stages of other packages that the card lists, in its order; each is placed after the stage that
            it names.

    Raises:
        PluginFailed: one of them is not installed, cannot be loaded, or names an unknown stage to come after.
    """
    order = {entry.name: [stage(entry.name)] for entry in STAGES if entry.side == side}
    for found in filter(lambda found: found.side == side, map(_extra_stage, extra)):
        anchor = next(reversed(order)) if found.after is None else found.after
        if anchor not in order:
            raise PluginFailed(
                f"the stage {found.name} of {stage_package(found.name)} comes after {anchor!r}, which is not a stage "
                f"of its side; there are {', '.join(order)}"
            )
        order[anchor].append(found)
    return tuple(found for group in order.values() for found in group)


def stage_names(side: Side, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the stages of a side; see `stages`."""
    if not extra:
        return tuple(entry.name for entry in STAGES if entry.side == side)
    return tuple(found.name for found in stages(side, extra))


def stages_of(extra: Sequence[str]) -> tuple[Stage, ...]:
    """Every stage of a run, those of the worker first; see `stages`."""
    return (*stages("worker", extra), *stages("launcher", extra))


def stage(name: str) -> Stage:
    """A stage of the pipeline, built in or of another package.

    Raises:
        PluginFailed: no installed package adds it, or what it adds is not a stage.
    """
    for entry in STAGES:
        if entry.name == name:
            return cast("Stage", _resolve(entry.target, purpose=f"run the stage {name}"))
    found = _stage_plugin(name)
    if found is None:
        raise PluginFailed(f"no installed package adds the stage {name}; install the one that does, also where it runs")
    return _stage_of(found)


def stage_package(name: str) -> str | None:
    """The package that adds a stage, and its version; None for a built-in one."""
    found = None if _is_built_in(name) else _stage_plugin(name)
    return f"{found.package} {found.version}" if found else None


def is_long_stage(name: str) -> bool:
    """Whether a request to stop ends the stage at once. False for names of other steps, such as the results card."""
    return (_is_built_in(name) or _stage_plugin(name) is not None) and stage(name).long


def _extra_stage(name: str) -> Stage:
    if _is_built_in(name):
        raise PluginFailed(f"extra_stages: the stage {name} is built in; leave it out, or rename the one you mean")
    return stage(name)


def _is_built_in(name: str) -> bool:
    return any(entry.name == name for entry in STAGES)


def _stage_plugin(name: str) -> Plugin | None:
    return find_plugin("stage", name)


@cache
def _stage_of(found: Plugin) -> Stage:
    own = found.make(_STAGE_PARTS)
    if own.side not in ("worker", "launcher"):
        raise PluginFailed(f'{found}: {found.target} has the side {own.side!r}; write "worker" or "launcher"')
    return cast("Stage", Blamed(found, own))


def offered_executor(name: str) -> OfferedExecutor:
    """An executor by its name, not yet imported.

    Raises:
        UsageError: no platform has it.
        PluginFailed: a plug-in that may have it cannot be used.
    """
    found = find_executor(name)
    if found is None:
        raise _unknown(executor_names(), name, "executor")
    return found


def executor(name: str) -> Executor:
    """A new executor.

    Raises:
        UsageError: no platform has it.
        MissingExtra: its packages are not installed.
        PluginFailed: its plug-in cannot be used.
    """
    offered = offered_executor(name)
    if offered.plugin is None:
        return cast("Executor", _resolve(offered.target, purpose=f"run on {name}")())
    with blamed(offered.plugin, f"cannot make the executor {name}"):
        made = offered.plugin.resolve(offered.target)()
    offered.plugin.check(made, _EXECUTOR_PARTS)
    if getattr(made, "name", None) != name:
        raise PluginFailed(f"{offered.plugin}: {offered.target} is not called {name!r}; give both the same name")
    return cast("Executor", made)


def tool(name: str) -> Any:
    """A tool of a workload, for the command that offers it.

    Raises:
        MissingExtra: its packages are not installed.
    """
    entry = _known(TOOLS, name, "tool")
    _need(entry.needs, purpose=entry.purpose)
    return _resolve(entry.target, purpose=entry.purpose)


def check_trackers(names: Iterable[str]) -> None:
    """Check before the launch that trackers can be used, so that the run is tracked as its card says.

    Built-in trackers are checked without importing them, plug-ins by loading them.

    Raises:
        MissingExtra: a package that a built-in tracker needs is not installed.
        PluginFailed: a plug-in cannot be imported, lacks an attribute, or needs a missing package.
    """
    for found in map(_tracker, names):
        if found.plugin is None:
            _need(found.spec.needs, purpose=found.spec.purpose)
        else:
            found.plugin.need(found.spec.needs)
            tracker(found.name)


def tracker(name: str) -> Callable[[], Tracker]:
    """The class of a tracker, for the tracker process.

    Raises:
        MissingExtra: its packages are not installed.
        PluginFailed: its plug-in cannot be imported, or lacks an attribute.
    """
    found = _tracker(name)
    if found.plugin is None:
        return cast("Callable[[], Tracker]", _resolve(found.spec.tracker, purpose=found.spec.purpose))
    make = found.plugin.resolve(found.spec.tracker)
    found.plugin.check(make, _TRACKER_METHODS)
    return cast("Callable[[], Tracker]", make)


def _tracker(name: str) -> FoundTracker:
    if (found := find_tracker(name)) is None:
        raise _unknown(tracker_names(), name, "tracker")
    return found


def _known(table: dict[str, T], name: str, kind: str) -> T:
    if name in table:
        return table[name]
    raise _unknown(table, name, kind)


def _unknown(known: Iterable[str], name: str, kind: str) -> UsageError:
    names = tuple(known)
    return UsageError(f"unknown {kind} {name!r}{did_you_mean(name, names, otherwise=f'; there are {listed(names)}')}")


def _need(packages: Iterable[str], *, purpose: str) -> None:
    for package in packages:
        if not _is_installed(package):
            raise _missing(package, purpose)


def _is_installed(package: str) -> bool:
    """Whether a package is installed, under the name of its module or of its distribution."""
    if package in sys.modules:
        return sys.modules[package] is not None
    if importlib.util.find_spec(package.replace("-", "_")) is not None:
        return True
    from importlib.metadata import distributions  # only for distributions not named after their module

    return any(True for _ in distributions(name=package))


def _missing(package: str, purpose: str) -> MissingExtra:
    return MissingExtra(package.replace("_", "-"), _EXTRA_OF.get(package), purpose)


def _resolve(target: str, *, purpose: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _EXTRA_OF:
            raise _missing(package, purpose) from None
        raise
