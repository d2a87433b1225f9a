"""Validates a checkpoint in a fresh model as training did: the torch half of the checkpoint stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from cardrunner.contracts import Data, RunContext
from cardrunner.errors import IntegrityError
from cardrunner.stages.run_data import open_run_data
from cardrunner.stages.verified import verified_checkpoint
from cardrunner.training.checkpoint import load_checkpoint
from cardrunner.training.metrics import Evaluation
from cardrunner.training.numerics import Numerics, numerics
from cardrunner.training.state import difference, weights_sha256


def revalidate(ctx: RunContext, file: str) -> tuple[str, dict[str, float]]:
    """Load a checkpoint into a fresh model and validate it.

    Args:
        ctx: the run.
        file: its name in the manifest.

    Returns:
        the sha256 of the weights, and the example-weighted validation metrics.

    Raises:
        IntegrityError: it differs from the manifest, or holds another model than the card describes.
    """
    content = load_checkpoint(verified_checkpoint(ctx, file))
    with numerics(ctx.card.training) as found:
        model = _fresh_model(ctx, content, found)
        measured = _measured(ctx, model, open_run_data(ctx), found)
    return weights_sha256(model.state_dict()), measured


def _fresh_model(ctx: RunContext, content: Mapping[str, Any], found: Numerics) -> nn.Module:
    model = ctx.workload.build_model(ctx.card)
    weights = content.get("model_state_dict")
    if not isinstance(weights, Mapping):
        raise IntegrityError(f"{ctx.folder.best} has no model_state_dict; it is not a checkpoint of cardrunner")
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
