"""Copies what a script gives to ``wandb.log`` to CARDRUNNER_METRICS, where the card asks for it.

Python imports this module at its start, because this folder stands on PYTHONPATH. It waits for wandb to be imported,
wraps one method, and runs the environment's own ``sitecustomize``, which it hides. Whatever goes wrong in it, wandb and
the script go on as they would without.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from functools import wraps
from types import ModuleType
from typing import Any

TARGET = "wandb.sdk.wandb_run"
LONGEST_LINE = 4000
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - no import that a start can do without


class _Finder(importlib.abc.MetaPathFinder):
    """Lets the other finders find the module, and wraps its method once it is loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != TARGET:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_wrap(module: ModuleType) -> None:
                load(module)
                _wrap(module)

            spec.loader.exec_module = load_and_wrap  # type: ignore[method-assign]
        return spec


def _wrap(module: ModuleType) -> None:
    log = module.Run.log
    told: list[bool] = []

    @wraps(log)
    def logged(run: Any, data: Any, *args: Any, **options: Any) -> Any:
        try:
            step = args[0] if args else options.get("step")
            _copy(data, run.step if step is None else step)
        except Exception:  # the script's own call comes first
            if not told:
                sys.stderr.write("cardrunner: a call of wandb.log could not be copied\n")
            told.append(True)
        return log(run, data, *args, **options)

    module.Run.log = logged


def _copy(data: Any, step: Any) -> None:
    """One line with the numbers of a call; several where they are too long for one."""
    if os.environ.get("RANK", "0") != "0":
        return
    found: dict[str, Any] = {}
    part: dict[str, Any] = {}
    _unfold(data, "", found)
    for name, value in found.items():
        if part and len(_line({**part, name: value}, step)) > LONGEST_LINE:
            _append(_line(part, step))
            part = {}
        part[name] = value
    if part:
        _append(_line(part, step))


def _unfold(data: Any, before: str, found: dict[str, Any]) -> None:
    """Names as wandb shows them: those of nested dicts are joined by a dot."""
    for name, value in dict(data).items():
        if isinstance(value, dict) and before.count(".") < 4:
            _unfold(value, f"{before}{name}.", found)
        elif (plain := _plain(value)) is not None:
            found[f"{before}{name}"[:200]] = plain


def _plain(value: Any) -> float | str | None:
    """A number, the one element of an array or tensor, or a short text, which may be of a number; None for the rest."""
    if isinstance(value, str):
        return value[:100]
    if isinstance(value, (bool, int, float)):
        return value
    try:
        item = value.item()
    except Exception:
        return None  # an image, a histogram, a table
    return item if isinstance(item, (bool, int, float)) else None


def _line(part: dict[str, Any], step: Any) -> bytes:
    return (json.dumps({"wandb": part, "step": _plain(step)}) + "\n").encode()


def _append(line: bytes) -> None:
    place = os.open(os.environ["CARDRUNNER_METRICS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(place, line)
    finally:
        os.close(place)


def _run_hidden() -> None:
    """Run the ``sitecustomize`` that the environment has besides this one."""
    others = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("CARDRUNNER_METRICS"):
    sys.meta_path.insert(0, _Finder())
_run_hidden()
