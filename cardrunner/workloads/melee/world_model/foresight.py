"""Predictions for a batch: the next frame, and in validation also rollouts on the predictor's own predictions.

Shapes: those of `cardrunner.workloads.melee.world_model.examples`, and
    R  examples that are rolled out    h  horizons
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding.layout import PLAYERS, STAGE_COLUMN, int_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.plausible import float_limits
from cardrunner.workloads.melee.game.stage_table import stage_geometry
from cardrunner.workloads.melee.world_model.columns import (
    CATEGORIES,
    CONTINUOUS,
    CONTROLLERS,
    POSITION,
    VELOCITY,
)
from cardrunner.workloads.melee.world_model.examples import WorldBatch, both, both_kinds, halves
from cardrunner.workloads.melee.world_model.metric_names import ROLLOUT_EVERY, ROLLOUT_HORIZONS
from cardrunner.workloads.melee.world_model.prediction import Prediction

Predictor = Callable[[Tensor, Tensor, Tensor], Prediction]
"""float_ctx (B, K, 56), int_ctx (B, K, 17), next_ctrl (B, 26) to the next frame."""


@dataclass(frozen=True)
class RolloutErrors:
    """Errors of x and y in game units, by horizon: sums (h,) and numbers of rollouts (h,)."""

    sums: Tensor
    counts: Tensor


@dataclass(frozen=True)
class Foresight:
    """A prediction, and the newest frame that it was made from.

    Attributes:
        floats: float32 (B, 56), the newest frame of the context that the predictor saw.
        rollouts: None in training.
    """

    prediction: Prediction
    floats: Tensor
    rollouts: RolloutErrors | None


@dataclass(frozen=True)
class Foreseer:
    """Runs predictors on batches.

    Args:
        context_len: K.
        before: S.
        encoding: of the frames.
        rate: the largest share of a training batch that sees the model's own predictions.
    """

    context_len: int
    before: int
    encoding: EncodingConfig
    rate: float = 0.0

    def train(self, model: nn.Module, batch: WorldBatch) -> Foresight:
        """One pass over the batch; the first ones, by the batch's share, see the model's own last S frames.

        Those frames are inputs: no gradient flows back into them, as in Bengio et al., "Scheduled Sampling" (2015).
        The targets are the real frames, so that the model learns to recover from its own errors. A batch is in random
        order, so the first examples are random ones; at the beginning of a game, where S frames before are not there,
        they see the real frames. The number of computed contexts is the same in every step, and nothing waits for the
        device.
        """
        first, end = self.before, self.before + self.context_len
        floats, ints = batch.floats[:, first:end], batch.ints[:, first:end]
        most = round(self.rate * len(floats))
        if most:
            chosen = batch.share[:most] * len(floats) > torch.arange(most, device=floats.device)
            chosen = (chosen & (batch.before[:most] >= self.before))[:, None, None]
            own_floats, own_ints = self._own_context(model, batch, most)
            floats = torch.cat([torch.where(chosen, own_floats, floats[:most]), floats[most:]])
            ints = torch.cat([torch.where(chosen, own_ints, ints[:most]), ints[most:]])
        prediction = model(floats, ints, both(batch.floats[:, end], CONTROLLERS))
        return Foresight(prediction, floats[:, -1], None)

    def validate(self, predict: Predictor, batch: WorldBatch) -> Foresight:
        """One pass over the batch, and a rollout of one example in `ROLLOUT_EVERY`."""
        end = self.before + self.context_len
        floats, ints = batch.floats[:, self.before : end], batch.ints[:, self.before : end]
        prediction = predict(floats, ints, both(batch.floats[:, end], CONTROLLERS))
        return Foresight(prediction, floats[:, -1], self._rollouts(predict, batch))

    @torch.no_grad()
    def _own_context(self, model: nn.Module, batch: WorldBatch, most: int) -> tuple[Tensor, Tensor]:
        """Contexts of the first examples, with the last S frames predicted by the model."""
        floats, ints = batch.floats[:most].clone(), batch.ints[:most].clone()
        model.eval()
        for number in range(self.before):
            self._play(model, floats, ints, self.context_len + number)
        model.train()
        end = self.before + self.context_len
        return floats[:, self.before : end], ints[:, self.before : end]

    def _rollouts(self, predict: Predictor, batch: WorldBatch) -> RolloutErrors:
        floats, ints, after = (part[::ROLLOUT_EVERY] for part in (batch.floats, batch.ints, batch.after))
        real, floats, ints = floats, floats.clone(), ints.clone()
        sums, counts = [], []
        end = self.before + self.context_len
        unknown = torch.zeros(len(floats), dtype=torch.bool, device=floats.device)
        for horizon in range(1, max(ROLLOUT_HORIZONS) + 1):
            frame = end + horizon - 1
            unknown |= self._play(predict, floats, ints, frame).continuous.isnan().any(1)
            if horizon in ROLLOUT_HORIZONS:
                counted = after >= horizon
                missed = both(floats[:, frame] - real[:, frame], POSITION).abs().mean(1)
                missed = torch.where(unknown, torch.nan, missed)  # its frames have kept their last known places
                sums.append(torch.where(counted, missed, 0.0).sum() / self.encoding.xy_scale)
                counts.append(counted.sum())
        return RolloutErrors(torch.stack(sums), torch.stack(counts))

    def _play(self, predict: Predictor, floats: Tensor, ints: Tensor, frame: int) -> Prediction:
        """Replace a frame by the prediction from the K frames before it and the controllers in it."""
        context = slice(frame - self.context_len, frame)
        controls = both(floats[:, frame], CONTROLLERS)
        prediction = predict(floats[:, context], ints[:, context], controls)
        floats[:, frame], ints[:, frame] = advance(
            floats[:, frame - 1], ints[:, frame - 1], prediction, controls, self.encoding
        )
        return prediction


_ACTION: Final = int_index("action")
_AGE: Final = int_index("state_age")


class ColumnBounds(NamedTuple):
    """Lowest and highest value of each float column by stage: float32 (stages, 56) each."""

    low: Tensor
    high: Tensor


@lru_cache(maxsize=8)
def column_bounds(encoding: EncodingConfig, device: torch.device) -> ColumnBounds:
    """The limits of every stage id, on a device."""
    bounds = [float_limits(stage_geometry(stage), encoding) for stage in range(encoding.stage_vocab)]
    low, high = (torch.from_numpy(np.stack(side)).to(device) for side in zip(*bounds, strict=True))
    return ColumnBounds(low, high)


def advance(
    floats: Tensor, ints: Tensor, prediction: Prediction, controls: Tensor, encoding: EncodingConfig
) -> tuple[Tensor, Tensor]:
    """The next frame, from a prediction and the frame before it.

    Args:
        floats: float32 (B, 56), the frame before.
        ints: int64 (B, 17), likewise.
        controls: float32 (B, 26), both players' controllers in the new frame.
        encoding: of the frames.

    Returns:
        float32 (B, 56) and int64 (B, 17); a non-finite number keeps its previous value.
    """
    own = halves(floats)
    parts = (
        own[..., CONTINUOUS] + _split(prediction.continuous),
        own[..., VELOCITY] + _split(prediction.velocity),
        _split(prediction.dynamics),
        _split((prediction.binary > 0).float()),
        _split(controls),
    )
    made = torch.cat(parts, -1).flatten(1)
    made = torch.where(made.isfinite(), made, floats)
    limits, stage = column_bounds(encoding, floats.device), ints[:, STAGE_COLUMN]
    made = torch.minimum(torch.maximum(made, limits.low[stage]), limits.high[stage])
    return made, _next_ints(ints, prediction, encoding)


def _split(values: Tensor) -> Tensor:
    """(B, 2 n) to (B, 2, n)."""
    return values.float().view(len(values), len(PLAYERS), -1)


def _next_ints(ints: Tensor, prediction: Prediction, encoding: EncodingConfig) -> Tensor:
    """Categories by the largest logit; an action's age counts up while the action stays."""
    made = ints.clone()
    for category, logits in zip(CATEGORIES, prediction.categories, strict=True):
        both_kinds(made, category.column).copy_(logits.argmax(2))
    age = both_kinds(made, _AGE)
    stays = both_kinds(made, _ACTION) == both_kinds(ints, _ACTION)
    age.copy_(torch.where(stays, (age + 1).clamp(max=encoding.state_age_embed_vocab - 1), 0))
    return made
