"""Workloads of other packages: found by entry point, checked against the contract when they are loaded.

The entry point names a class such as one of `cardrunner.workloads.simple`, which is the whole workload, or an object
whose attributes ``spec`` and ``workload`` name the two halves as ``module:object``. Either may have ``needs``: the
packages, as pip names them, that its training needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from cardrunner.errors import PluginFailed
from cardrunner.plugins import Plugin

if TYPE_CHECKING:
    from cardrunner.contracts import Workload, WorkloadSpec

_HALVES: Final = {
    "spec": "module:object of the half that reads cards",
    "workload": "module:object of the half that trains",
}
_SPEC: Final = {
    "name": "as cards write it",
    "data_section": "the class of its data section",
    "model_section": "the class of its model section",
    "training_section": "the class of its training section",
    "metrics": "everything it computes",
    "trivial_baselines": "predictors that learned nothing",
    "derive": "numbers that follow from others",
    "check": "what else is wrong with a card",
    "examples": "how many there are",
    "describe": "rows of the review page",
}
_WORKLOAD: Final = {
    "spec": "its other half",
    "open_data": "the data",
    "build_model": "the model",
    "objective": "loss and metrics",
    "baselines": "answers of the trivial baselines",
    "export_config": "what a loader needs besides the weights",
    "demo": "what it shows after training, or None",
}
_NEEDS: Final = ("torch", "numpy")


@dataclass(frozen=True)
class PluggedWorkload:
    """A plug-in workload: the places of its two halves."""

    plugin: Plugin
    spec_target: str
    workload_target: str
    needs: tuple[str, ...]

    def spec(self) -> WorkloadSpec:
        """The torch-free half.

        Raises:
            PluginFailed: it cannot be imported or created, lacks an attribute, or differs in name from its entry point.
        """
        made = _made(self.plugin, self.spec_target)
        self.plugin.check(made, _SPEC)
        return cast("WorkloadSpec", made)

    def workload(self) -> Workload:
        """The torch half; raises as `spec`."""
        made = _made(self.plugin, self.workload_target)
        self.plugin.check(made, _WORKLOAD)
        return cast("Workload", made)


@cache
def plugged_workload(plugin: Plugin) -> PluggedWorkload:
    """The workload behind an entry point.

    Raises:
        PluginFailed: it cannot be imported, or is neither kind of object that an entry point may name.
    """
    found = plugin.load()
    needs = getattr(found, "needs", _NEEDS)
    if isinstance(needs, str) or not all(isinstance(package, str) for package in needs):
        raise PluginFailed(f'{plugin}: its needs are {needs!r}; write what pip installs, such as ("torch", "numpy")')
    if isinstance(found, type) and not isinstance(getattr(found, "spec", None), str):
        return PluggedWorkload(plugin, plugin.target, plugin.target, tuple(needs))
    plugin.check(found, _HALVES)
    return PluggedWorkload(plugin, found.spec, found.workload, tuple(needs))


@cache
def _made(plugin: Plugin, target: str) -> Any:
    """One object for each target, so that a class that is both halves is created once."""
    return plugin.make({}, target)
