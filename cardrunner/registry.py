"""Name → "module:object": the only file that knows every implementation.

Values are strings resolved on use, so that reading a card never imports torch. Another package adds a workload through
the entry-point group ``cardrunner.workloads``: an object with the attributes ``spec`` and ``workload``, each such a
string.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from cardrunner.errors import MissingExtra, UsageError
from cardrunner.text import did_you_mean, listed

if TYPE_CHECKING:
    from cardrunner.contracts import Executor, Stage, Tracker, Workload, WorkloadSpec

T = TypeVar("T")
ENTRY_POINT_GROUP = "cardrunner.workloads"
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
    return (*WORKLOADS, *(point.name for point in _others()))


def workload_spec(name: str) -> WorkloadSpec:
    """The torch-free half of a workload.

    Raises:
        UsageError: nobody declares it.
    """
    return cast("WorkloadSpec", _resolve(_workload_entry(name).spec, purpose=f"read a {name} card"))


def workload(name: str) -> Workload:
    """The torch half of a workload.

    Raises:
        UsageError: nobody declares it.
        MissingExtra: its packages are not installed.
    """
    check_installed(name)
    return cast("Workload", _resolve(_workload_entry(name).workload, purpose=f"run the workload {name}"))


def check_installed(name: str) -> None:
    """Look for the packages of a workload without importing them, which would take seconds.

    Raises:
        MissingExtra: one is not installed.
    """
    _need(_workload_entry(name).needs, purpose=f"run the workload {name}")


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


def _workload_entry(name: str) -> WorkloadEntry:
    if name in WORKLOADS:  # looking through every installed package takes longer than reading a card
        return WORKLOADS[name]
    for point in _others():
        if point.name == name:
            found = point.load()
            return WorkloadEntry(found.spec, found.workload)
    return _known(WORKLOADS, name, "workload")


def _others() -> Iterable[Any]:
    return entry_points(group=ENTRY_POINT_GROUP)


def _known(table: dict[str, T], name: str, kind: str) -> T:
    if name in table:
        return table[name]
    raise UsageError(f"unknown {kind} {name!r}{did_you_mean(name, table, otherwise=f'; there are {listed(table)}')}")


def _need(packages: Iterable[str], *, purpose: str) -> None:
    for package in packages:
        if not _is_installed(package):
            raise _missing(package, purpose)


def _is_installed(package: str) -> bool:
    if package in sys.modules:
        return sys.modules[package] is not None
    return importlib.util.find_spec(package) is not None


def _missing(package: str, purpose: str) -> MissingExtra:
    return MissingExtra(package.replace("_", "-"), _EXTRA_OF[package], purpose)


def _resolve(target: str, *, purpose: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _EXTRA_OF:
            raise _missing(package, purpose) from None
        raise
