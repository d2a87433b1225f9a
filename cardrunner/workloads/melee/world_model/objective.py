"""Loss and metrics of a world model, as numerators and denominators that add up over batches of any size.

Shapes: B examples; M metrics. A term of both players is averaged over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cardrunner.card.schema.training import TrainingSection
from cardrunner.contracts import Batch, BatchScore
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.world_model.columns import (
    BINARIES,
    CATEGORIES,
    CONTINUOUS,
    DYNAMICS,
    VELOCITY,
)
from cardrunner.workloads.melee.world_model.examples import WorldBatch, both, both_kinds
from cardrunner.workloads.melee.world_model.foresight import Foreseer, Foresight, RolloutErrors
from cardrunner.workloads.melee.world_model.metric_names import LOSS_TERMS, METRICS, ROLLOUT_HORIZONS

_PERCENT, _PLACE = 0, slice(1, 3)  # of the continuous columns
_ACTION = next(number for number, category in enumerate(CATEGORIES) if category.name == "action")


class WorldModelObjective:
    """The weighted sum of the loss terms of a predicted frame.

    Args:
        foreseer: runs the model.
        weights: by term; the others have the weight in `LOSS_TERMS`.
    """

    names: tuple[str, ...] = tuple(metric.name for metric in METRICS)

    def __init__(self, foreseer: Foreseer, weights: Mapping[str, float] | None = None) -> None:
        self.foreseer = foreseer
        self.weights = {name: (weights or {}).get(name, term.weight) for name, term in LOSS_TERMS.items()}

    @classmethod
    def of(cls, training: TrainingSection, foreseer: Foreseer) -> WorldModelObjective:
        """The objective with the weights of a card."""
        return cls(foreseer, {name: term.weight for name, term in training.loss.items()})

    def predict(self, model: nn.Module, batch: Batch) -> Foresight:
        """One forward pass over a `WorldBatch`; in training with scheduled sampling, else with rollouts."""
        own = WorldBatch(*batch)
        return self.foreseer.train(model, own) if model.training else self.foreseer.validate(model, own)

    def score(self, outputs: Any, batch: Batch) -> BatchScore:
        """Score a `Foresight` against a `WorldBatch`; metrics in the order of `names`."""
        now = self.foreseer.before + self.foreseer.context_len
        floats, ints, _, _, _ = batch
        target = _Target(floats[:, now] - outputs.floats, floats[:, now], ints[:, now], ints[:, now - 1])
        terms = _terms(outputs, target)
        loss = torch.stack([weight * terms[name] for name, weight in self.weights.items()]).sum()
        with torch.no_grad():
            examples = float(len(floats))
            losses = torch.stack([loss, *terms.values()]).detach() * examples
            numerators, denominators = _metrics(outputs, target, self.foreseer.encoding)
            sizes = losses.new_full((len(losses),), examples)
        return BatchScore(loss, torch.cat([losses, numerators]), torch.cat([sizes, denominators]))


class _Target:
    """The real next frame.

    Args:
        change: float32 (B, 56), relative to the newest frame that the predictor saw.
        floats: float32 (B, 56).
        ints: int64 (B, 17).
        before: int64 (B, 17), the real frame before.
    """

    def __init__(self, change: Tensor, floats: Tensor, ints: Tensor, before: Tensor) -> None:
        self.continuous, self.velocity = both(change, CONTINUOUS), both(change, VELOCITY)
        self.dynamics, self.binary = both(floats, DYNAMICS), both(floats, BINARIES)
        self.categories = [both_kinds(ints, category.column) for category in CATEGORIES]
        self.action_before = both_kinds(before, CATEGORIES[_ACTION].column)


def _terms(outputs: Foresight, target: _Target) -> dict[str, Tensor]:
    """Every term of the loss, scalars, in the order of `LOSS_TERMS`."""
    predicted = outputs.prediction
    terms = {
        "continuous": functional.mse_loss(predicted.continuous.float(), target.continuous),
        "velocity": functional.mse_loss(predicted.velocity.float(), target.velocity),
        "dynamics": functional.mse_loss(predicted.dynamics.float(), target.dynamics),
        "binary": functional.binary_cross_entropy_with_logits(predicted.binary.float(), target.binary),
    }
    for category, logits, values in zip(CATEGORIES, predicted.categories, target.categories, strict=True):
        terms[category.name] = functional.cross_entropy(logits.float().flatten(0, 1), values.flatten())
    return {name: terms[name] for name in LOSS_TERMS}


def _metrics(outputs: Foresight, target: _Target, encoding: EncodingConfig) -> tuple[Tensor, Tensor]:
    """Numerators and denominators of every ``metric/...``, float32 each, in the order of `METRICS`."""
    predicted = outputs.prediction
    missed = (predicted.continuous.float() - target.continuous).abs().view(len(target.binary), 2, -1)
    speeds = (predicted.velocity.float() - target.velocity).abs()
    right = (predicted.categories[_ACTION].argmax(2) == target.categories[_ACTION]).float()
    changed = (target.categories[_ACTION] != target.action_before).float()
    correct = ((predicted.binary > 0) == (target.binary > 0.5)).float()
    everything = torch.ones_like(right[:, 0])
    rows = (
        (right.mean(1), everything),
        ((right * changed).sum(1), changed.sum(1)),
        (missed[..., _PLACE].mean((1, 2)) / encoding.xy_scale, everything),
        (speeds.mean(1) / encoding.velocity_scale, everything),
        (missed[..., _PERCENT].mean(1) / encoding.percent_scale, everything),
        (correct.mean(1), everything),
    )
    above, below = (torch.stack(side).sum(1) for side in zip(*rows, strict=True))
    sums, counts = _rollouts(outputs.rollouts, like=above)
    share = changed.mean(1).sum()[None], everything.sum()[None]
    return torch.cat([above, sums, share[0]]), torch.cat([below, counts, share[1]])


def _rollouts(errors: RolloutErrors | None, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Sums and counts by horizon; nothing to count in training."""
    if errors is None:
        nothing = like.new_zeros(len(ROLLOUT_HORIZONS))
        return nothing, nothing
    return errors.sums.to(like), errors.counts.to(like)
