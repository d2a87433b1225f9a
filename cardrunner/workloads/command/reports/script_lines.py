"""The file that CARDRUNNER_METRICS names: what scripts report themselves, and their calls of ``wandb.log``.

Its lines are written by ``cardrunner_script.py`` and by the hook in ``wandb_hook``, each a JSON object::

    {"step": 60, "epoch": 0.5, "values": {"loss": 0.41}}    report(step=60, epoch=0.5, loss=0.41)
    {"fact": "parameters", "value": 108224}                 fact("parameters", 108224)
    {"wandb": {"iter": 60, "loss": 0.41}, "step": 3}        run.log({"iter": 60, "loss": 0.41}), wandb's own step

"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cardrunner.workloads.command.reports.base import Garbage, Reading, Sizes, Taking
from cardrunner.workloads.command.reports.json_lines import json_object, unfolded
from cardrunner.workloads.command.reports.tail import Tail

MOST_FACTS = 1_000


def stop_request(metrics: Path) -> Path:
    """The file whose presence tells ``should_stop()`` of a script that the run is to end."""
    return metrics.with_name(metrics.name + ".stop")


class ScriptLines:
    """See `cardrunner.workloads.command.reports.base.Source`.

    Args:
        path: the file of CARDRUNNER_METRICS.
        wanted: the names that the card reads.
        wandb_step: the name in ``wandb.log`` that is the step; None for wandb's own, which counts calls.

    Attributes:
        facts: what the script stated, by name; the newest value of each.
    """

    def __init__(self, path: Path, *, wanted: frozenset[str] = frozenset(), wandb_step: str | None = None) -> None:
        self.name, self.garbage = "report()", Garbage()
        self.facts: dict[str, Any] = {}
        self._tail = Tail(path, self.garbage)
        self._taking = Taking(self.name, self.garbage, wanted)
        self._wandb = _Wandb(Taking("wandb.log", self.garbage, wanted, wandb_step or "_step"))

    def begin(self, sizes: Sizes | None = None) -> Sizes:
        """Leave out what earlier attempts reported; their facts are those of other processes."""
        return self._tail.skip(sizes)

    def new(self, *, ended: bool = False) -> Iterator[Reading]:
        """The new reports, and the calls of wandb with theirs of the same step."""
        for _, line in self._tail.lines(ended=ended):
            entry = json_object(line.strip(b" \t\r\n\0") or b"{}", self._taking)
            if isinstance(entry.get("values"), dict):
                place = {name: value for name, value in entry.items() if name in ("step", "epoch")}
                found = self._taking.reading({**unfolded(entry["values"]), **place})
            elif isinstance(entry.get("wandb"), dict):
                found = self._wandb.call(unfolded(entry["wandb"], by="."), entry.get("step"))
            else:
                found = None
                self._fact(entry, line)
            if found is not None:
                yield found
        if ended:
            self._wandb.forget()

    def _fact(self, entry: Mapping[str, Any], line: bytes) -> None:
        name = entry.get("fact")
        if isinstance(name, str) and "value" in entry and (name in self.facts or len(self.facts) < MOST_FACTS):
            self.facts[name] = entry["value"]
        elif entry:
            self.garbage.add(line, self.name)


class _Wandb:
    """Calls of ``wandb.log``, whose values of one wandb step may come in several calls before the one with the step."""

    def __init__(self, taking: Taking) -> None:
        self._taking = taking
        self._waiting: dict[str, Any] = {}
        self._at: object = None

    def call(self, cells: Mapping[str, Any], own_step: object) -> Reading | None:
        if own_step != self._at:
            self.forget()
            self._at = own_step
        known = {**cells, "_step": own_step}
        if self._taking.step_name(known) is None:
            self._waiting.update(cells)
            return None
        waiting, self._waiting = self._waiting, {}
        found = self._taking.reading({**waiting, **known})
        return None if found is None else found._replace(values=_without(found.values, "_step"))

    def forget(self) -> None:
        """What waits for a step that never came is garbage, if the card wants any of it."""
        if self._waiting:
            self._taking.reading(self._waiting)
            self._waiting = {}


def _without(values: Mapping[str, float], name: str) -> dict[str, float]:
    return {key: value for key, value in values.items() if key != name}
