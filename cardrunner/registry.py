"""Name → "module:object": the only file that knows every implementation.

Values are strings resolved on use, so that reading a card never imports torch. Another package adds a workload through
the entry-point group ``cardrunner.workloads``; see `cardrunner.workloads.plugged`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from cardrunner.errors import MissingExtra, PluginFailed, UsageError
from cardrunner.plugins import Plugin, find_plugin, plugins
from cardrunner.text import did_you_mean, listed

if TYPE_CHECKING:
    from cardrunner.contracts import Executor, Stage, Tracker, Workload, WorkloadSpec
    from cardrunner.workloads.plugged import PluggedWorkload

T = TypeVar("T")
_EXTRA_OF = {
    "torch": "train", "numpy": "train", "matplotlib": "train", "peppi_py": "melee", "pyarrow": "melee",
    "modal": "modal", "wandb": "wandb", "tensorboardX": "tensorboard",
}  # fmt: skip


class WorkloadEntry(NamedTuple):
    """Where the two halves of a workload live."""

    spec: str
    workload: str
    needs: tuple[str, ...] = ("torch", "numpy")
    """Packages that its torch half imports."""


class ToolEntry(NamedTuple):
    """Where something lives that needs packages of its own."""

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
}
DEFAULT_WORKLOAD = "melee-policy"
"""What `cardrunner new` begins with."""
WORKER_STAGES = ("load", "train", "checkpoint")
"""In their order, on the machine with the data."""
LAUNCHER_STAGES = ("download", "demo")
"""In their order, on the machine with the people."""
STAGES: dict[str, str] = {name: f"cardrunner.stages.{name}:STAGE" for name in (*WORKER_STAGES, *LAUNCHER_STAGES)}
EXECUTORS: dict[str, str] = {
    "inline": "cardrunner.executors.inline:InlineExecutor",
    "local": "cardrunner.executors.local:LocalExecutor",
    "modal": "cardrunner.executors.modal_cloud.executor:ModalExecutor",
}
TRACKERS: dict[str, ToolEntry] = {
    "wandb": ToolEntry("cardrunner.tracking.wandb_run:WandbTracker", ("wandb",), "track runs with wandb"),
    "tensorboard": ToolEntry(
        "cardrunner.tracking.tensorboard_run:TensorboardTracker", ("tensorboardX",), "write TensorBoard files"
    ),
}
TOOLS: dict[str, ToolEntry] = {
    "encode-parts": ToolEntry(
        "cardrunner.workloads.melee.encoding.encode_parts:PARTS", ("peppi_py", "torch", "numpy"), "encode replays"
    ),
    "encode": ToolEntry(
        "cardrunner.workloads.melee.encoding.encode:encode", ("peppi_py", "torch", "numpy"), "encode replays"
    ),
}


def workload_names() -> tuple[str, ...]:
    """Every workload that is installed."""
    return (*WORKLOADS, *(plugin.name for plugin in plugins("workload") if plugin.name not in WORKLOADS))


def workload_spec(name: str) -> WorkloadSpec:
    """The torch-free half of a workload.

    Raises:
        UsageError: there is none of that name.
        PluginFailed: another package brings it, and it cannot be used.
    """
    if name not in WORKLOADS:  # looking through every installed package takes longer than reading a card
        return _plugged(name).spec()
    return cast("WorkloadSpec", _resolve(WORKLOADS[name].spec, purpose=f"read a {name} card"))


def workload(name: str) -> Workload:
    """The torch half of a workload.

    Raises:
        UsageError: there is none of that name.
        MissingExtra: its packages are not installed.
        PluginFailed: another package brings it, and it cannot be used.
    """
    check_installed(name)
    if name not in WORKLOADS:
        return _plugged(name).workload()
    return cast("Workload", _resolve(WORKLOADS[name].workload, purpose=f"run the workload {name}"))


def check_installed(name: str) -> None:
    """Look for the packages of a workload without importing them, which would take seconds.

    Raises:
        MissingExtra: one is not installed.
    """
    needs = WORKLOADS[name].needs if name in WORKLOADS else _plugged(name).needs
    _need(needs, purpose=f"run the workload {name}")


class WorkloadRow(NamedTuple):
    """A workload that is installed, as `cardrunner workloads` lists it."""

    name: str
    package: str
    version: str
    spec: WorkloadSpec | None
    """None where it cannot be used."""
    fault: str | None
    """Why it cannot be used, or which package its training lacks."""


def workload_rows() -> Iterator[WorkloadRow]:
    """Every workload that is installed; one that cannot be used is a row too."""
    from cardrunner.runs.environment import own_version  # only this asks

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
    from cardrunner.workloads.plugged import plugged_workload  # only workloads of other packages need it

    return plugged_workload(plugin)


def stage(name: str) -> Stage:
    """A stage of the pipeline."""
    return cast("Stage", _resolve(STAGES[name], purpose=f"run the stage {name}"))


def executor(name: str) -> Executor:
    """A fresh executor."""
    make = cast("Callable[[], Executor]", _resolve(_known(EXECUTORS, name, "executor"), purpose=f"run on {name}"))
    return make()


def tool(name: str) -> Any:
    """A workload's own tool that a command offers.

    Raises:
        MissingExtra: its packages are not installed.
    """
    entry = _known(TOOLS, name, "tool")
    _need(entry.needs, purpose=entry.purpose)
    return _resolve(entry.target, purpose=entry.purpose)


def check_trackers(names: Iterable[str]) -> None:
    """Look for the packages of trackers without importing them: a run that was to be watched does not run unwatched.

    Raises:
        MissingExtra: one is not installed.
    """
    for name in names:
        _need(TRACKERS[name].needs, purpose=TRACKERS[name].purpose)


def tracker(name: str) -> Callable[[], Tracker]:
    """What makes a tracker, in a process of its own.

    Raises:
        MissingExtra: its packages are not installed.
    """
    entry = _known(TRACKERS, name, "tracker")
    return cast("Callable[[], Tracker]", _resolve(entry.target, purpose=entry.purpose))


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
    """Whether a package is there, by the name of its module or by the one that pip installs."""
    if package in sys.modules:
        return sys.modules[package] is not None
    if importlib.util.find_spec(package.replace("-", "_")) is not None:
        return True
    from importlib.metadata import distributions  # only packages that are called otherwise than their modules need it

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
