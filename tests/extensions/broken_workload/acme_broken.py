"""Workloads that fail, each in its own way; `Breaks` fails where the environment says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cardrunner.card.schema.card import Card
from cardrunner.specs import Derived, Remark
from cardrunner.workloads import simple


def break_at(place: str) -> None:
    """Fail if this is the place."""
    if os.environ.get("ACME_BREAKS") == place:
        raise ValueError(f"no {place} today")


class Breaks(simple.SimpleWorkload):
    """Learns to double a number."""

    name = "breaks"

    def derive(self, card: Card) -> Iterable[Derived]:
        break_at("derive")
        return ()

    def check(self, card: Card) -> Iterable[Remark]:
        break_at("check")
        return ()

    def examples(self, card: Card) -> tuple[int, int]:
        break_at("examples")
        return 8, 8

    def describe(self, card: Card) -> Mapping[str, Sequence[tuple[str, str]]]:
        break_at("describe")
        return {}

    def tensors(self, card: Card, files: Sequence[Path]) -> tuple[Any, Any]:
        import torch

        break_at("open_data")
        numbers = torch.arange(16.0)[:, None]
        return numbers, 2 * numbers[: 8 if os.environ.get("ACME_BREAKS") == "lengths" else 16]

    def build_model(self, card: Card) -> Any:
        from torch import nn

        break_at("build_model")
        return nn.Linear(1, 1)

    def objective(self, card: Card) -> Any:
        break_at("objective")
        return super().objective(card)

    def loss(self, card: Card, outputs: Any, batch: Any) -> Any:
        break_at("loss")
        errors = (outputs - batch[1]).square()
        return errors if os.environ.get("ACME_BREAKS") == "scalar" else errors.mean()

    def demo(self, *_: Any, **__: Any) -> None:
        break_at("demo")


class Misspelled(Breaks):
    """Imports a name that is not there when it is made."""

    name = "misspelled"

    def __init__(self) -> None:
        raise KeyError("no such table")


class Unfinished(simple.SimpleWorkload):
    """Has no data and no loss."""

    name = "unfinished"

    def build_model(self, card: Card) -> Any:
        return None


class Halved:
    """Names one half only."""

    spec = "acme_broken:Breaks"


class Needy(Breaks):
    """Needs a package that nobody has."""

    name = "needy"
    needs = ("torch", "acme-missing-package")


class Renamed(Breaks):
    """Is called otherwise than its entry point."""

    name = "renamd"
