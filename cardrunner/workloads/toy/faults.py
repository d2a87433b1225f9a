"""Faults on demand: each occurs once per run, even if the run is resumed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from cardrunner.contracts import Batch
from cardrunner.workloads.toy.spec import ToyKnobs

EXIT_CODE = 9


@dataclass(frozen=True)
class Faults:
    """The fault settings of a card, and the run folder, where each fault leaves a marker before it occurs."""

    knobs: ToyKnobs
    folder: Path

    def strike(self, step: int, batch: Batch) -> Batch:
        """Trigger the faults that are due in this step.

        Returns:
            the batch; its floats are NaN if `nan_at` is due.
        """
        if self.knobs.step_ms:
            time.sleep(self.knobs.step_ms / 1000)
        if self._due("exit_at", step):
            os._exit(EXIT_CODE)
        if self._due("raise_at", step):
            raise ValueError(f"training.toy.raise_at: step {step}")
        if self._due("hang_at", step):
            while True:
                time.sleep(3600)
        if self._due("oom_at", step):
            raise torch.OutOfMemoryError(f"training.toy.oom_at: step {step}")
        if self._due("nan_at", step):
            return tuple(torch.full_like(part, torch.nan) if part.is_floating_point() else part for part in batch)
        return batch

    def _due(self, knob: str, step: int) -> bool:
        if getattr(self.knobs, knob) != step:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            (self.folder / f"toy-{knob}").open("x").close()  # only one of several processes creates it
        except FileExistsError:
            return False
        return True
