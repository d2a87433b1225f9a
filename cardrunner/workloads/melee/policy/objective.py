"""Loss and metrics of a policy, as numerators and denominators that add up over batches of any size.

Shapes: B examples; analog values 5, of which the first 4 are stick axes; buttons 8.
Per batch, numerator / denominator is what existing trainers report; over batches the sums give the mean over examples.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from cardrunner.card.schema.training import TrainingSection
from cardrunner.contracts import Batch, BatchScore
from cardrunner.workloads.melee.encoding.layout import ANALOG, STICKS, controller_slice
from cardrunner.workloads.melee.policy.metric_names import METRICS
from cardrunner.workloads.melee.policy.mlp import Controls

_OWN_CONTROLLER: Final = controller_slice(0)  # the predicted player's half always comes first


class PolicyObjective:
    """Mean squared error of the analog values plus binary cross entropy of the buttons, each with its weight."""

    names: tuple[str, ...] = tuple(metric.name for metric in METRICS)

    def __init__(self, *, analog_weight: float = 1.0, button_weight: float = 1.0) -> None:
        self.analog_weight = analog_weight
        self.button_weight = button_weight

    @classmethod
    def of(cls, training: TrainingSection) -> PolicyObjective:
        """The objective with the weights of a card; unstated terms have weight 1."""
        weights = {name: term.weight for name, term in training.loss.items()}
        return cls(analog_weight=weights.get("analog", 1.0), button_weight=weights.get("buttons", 1.0))

    def predict(self, model: nn.Module, batch: Batch) -> Controls:
        """One forward pass over a `FrameBatch`."""
        predicted: Controls = model(batch[0], batch[1])
        return predicted

    def score(self, outputs: Any, batch: Batch) -> BatchScore:
        """Score predicted `Controls` against a `FrameBatch`; metrics in the order of `names`."""
        float_ctx, _, target = batch
        analog, buttons = target[:, : len(ANALOG)], target[:, len(ANALOG) :]
        logits = outputs.button_logits.float()
        errors = outputs.analog.float() - analog
        analog_loss = errors.square().mean()
        button_loss = functional.binary_cross_entropy_with_logits(logits, buttons)
        loss = self.analog_weight * analog_loss + self.button_weight * button_loss
        with torch.no_grad():
            means = torch.stack([loss, analog_loss, button_loss]).detach() * len(target)
            changed = target != float_ctx[:, -1, _OWN_CONTROLLER]
            numerators, denominators = _metrics(
                errors.detach().abs(), (logits > 0) == (buttons > 0.5), buttons, changed
            )
            sizes = means.new_full((len(means),), float(len(target)))
        return BatchScore(loss, torch.cat([means, numerators]), torch.cat([sizes, denominators]))


def _metrics(errors: Tensor, right: Tensor, buttons: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
    """Numerators and denominators of every ``metric/...``, float32 (M - 3,).

    Args:
        errors: absolute analog errors (B, 5).
        right: bool (B, 8), button predicted right.
        buttons: the human's buttons (B, 8).
        changed: bool (B, 13), value differs from the frame before.
    """
    sticks = errors[:, : len(STICKS)].mean(1)
    rightness = right.to(errors.dtype).mean(1)
    everything = torch.ones_like(sticks)
    pressed = (buttons > 0.5).any(1).to(errors.dtype)
    moved = changed.any(1).to(errors.dtype)
    flipped = changed[:, len(ANALOG) :]
    foretold = right == flipped  # right about a change, or wrong about a button that was held
    hits = (right & flipped).sum(1).to(errors.dtype)
    rows = (
        (errors.mean(1), everything),
        (sticks, everything),
        (rightness, everything),
        (rightness * pressed, pressed),
        (sticks * moved, moved),
        (rightness * moved, moved),
        (2 * hits, (foretold.sum(1) + flipped.sum(1)).to(errors.dtype)),
        (moved, everything),
    )
    return torch.stack([above for above, _ in rows]).sum(1), torch.stack([below for _, below in rows]).sum(1)
