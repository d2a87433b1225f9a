"""checkpoint: the best weights, reloaded into a fresh model, must validate as they did when they were saved."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from cardrunner.contracts import Data
from cardrunner.errors import IntegrityError
from cardrunner.runs.context import RunContext
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import CheckpointRecord, write_record
from cardrunner.stages.run_data import open_run_data
from cardrunner.stages.verified import manifest_entry, verified_checkpoint
from cardrunner.training.checkpoint import load_checkpoint
from cardrunner.training.evaluate import Evaluation
from cardrunner.training.numerics import Numerics, numerics
from cardrunner.training.weights import difference, weights_sha256

TOLERANCE = 1e-5
"""Largest difference that still agrees, relative to values above 1. On the same machine it is 0; another order of
summation, as other threads or another GPU have, moves float32 metrics by about 1e-7."""


@dataclass(frozen=True)
class CheckpointStage:
    """Leaves ``stages/checkpoint.json``, also when the numbers disagree."""

    name: ClassVar[str] = "checkpoint"
    side: ClassVar[Literal["worker"]] = "worker"

    def run(self, ctx: RunContext) -> None:
        """Reload and validate again.

        Raises:
            IntegrityError: there is no best checkpoint, it is not what the manifest says, or it validates differently.
        """
        began = time.monotonic()
        entry = manifest_entry(ctx.folder, ctx.folder.best.name)
        content = load_checkpoint(verified_checkpoint(ctx, entry.file))
        with numerics(ctx.card.training) as found:
            model = _fresh_model(ctx, content, found)
            measured = _measured(ctx, model, open_run_data(ctx), found)
        recorded = {name: value for name, value in entry.metrics.items() if name in measured}
        largest = largest_difference(recorded, measured)
        record = CheckpointRecord(
            file=entry.file,
            sha256=entry.sha256,
            weights_sha256=weights_sha256(model.state_dict()),
            epoch=entry.epoch,
            recorded=recorded,
            measured=measured,
            largest_difference=largest,
            tolerance=TOLERANCE,
            agrees=largest <= TOLERANCE and recorded.keys() == measured.keys(),
            seconds=time.monotonic() - began,
        )
        write_record(ctx.folder.record(self.name), record)
        _check(record, expected_weights=entry.weights_sha256, folder=ctx.folder)


def largest_difference(recorded: Mapping[str, float], measured: Mapping[str, float]) -> float:
    """The largest difference, relative to values above 1; infinite where only one of two values is a number."""
    return max((_difference(value, measured[name]) for name, value in recorded.items()), default=0.0)


def _difference(before: float, after: float) -> float:
    if math.isnan(before) and math.isnan(after):
        return 0.0  # a metric with nothing to count, both times
    if before == after:
        return 0.0
    found = abs(before - after) / max(1.0, abs(before))
    return found if math.isfinite(found) else math.inf


def _fresh_model(ctx: RunContext, content: Mapping[str, Any], found: Numerics) -> nn.Module:
    model = ctx.workload.build_model(ctx.card)
    weights = content.get("model_state_dict")
    if not isinstance(weights, Mapping):
        raise IntegrityError(f"{ctx.folder.best} has no model_state_dict; it is not a checkpoint of this tool")
    if (wrong := difference(weights, model.state_dict())) is not None:
        raise IntegrityError(f"{ctx.folder.best} holds another model than the card describes: {wrong}")
    model.load_state_dict(dict(weights))
    return model.to(found.device)


def _measured(ctx: RunContext, model: nn.Module, data: Data, found: Numerics) -> dict[str, float]:
    training = ctx.card.training
    with ctx.progress.task("validating the best checkpoint", len(data.validation), unit="example") as task:

        def on_batch(examples: int) -> None:
            task.advance(examples)
            ctx.stop.raise_if_requested()

        objective = ctx.workload.objective(ctx.card)
        evaluation = Evaluation(
            data.validation,
            objective,
            found,
            batch_size=training.batch_size,
            workers=training.workers,
            on_batch=on_batch,
        )
        return evaluation.model(model).prefixed("val_").weighted


def _check(record: CheckpointRecord, *, expected_weights: str, folder: RunFolder) -> None:
    if record.weights_sha256 != expected_weights:
        raise IntegrityError(
            f"{folder.best}: its weights are {record.weights_sha256}, the manifest says {expected_weights}"
        )
    if not record.agrees:
        worst = max(record.recorded, key=lambda name: _difference(record.recorded[name], record.measured[name]))
        numbers = f"{worst} was {record.recorded[worst]:.8g} in training and is {record.measured[worst]:.8g} now"
        raise IntegrityError(
            f"{folder.best} does not validate as it did: {numbers} (tolerance {record.tolerance:g}); "
            "the data or the code has changed"
        )


STAGE = CheckpointStage()
