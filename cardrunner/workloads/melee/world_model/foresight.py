"""Predictions for a batch: the next frame, and in validation also rollouts on the predictor's own predictions.

Shapes: those of `cardrunner.workloads.melee.world_model.examples`, and
    R  examples that are rolled out    h  horizons
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.world_model.advance import advance
from cardrunner.workloads.melee.world_model.columns import CONTROLLERS, POSITION
from cardrunner.workloads.melee.world_model.examples import WorldBatch
from cardrunner.workloads.melee.world_model.halves import both
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
        for horizon in range(1, max(ROLLOUT_HORIZONS) + 1):
            frame = end + horizon - 1
            self._play(predict, floats, ints, frame)
            if horizon in ROLLOUT_HORIZONS:
                counted = after >= horizon
                missed = both(floats[:, frame] - real[:, frame], POSITION).abs().mean(1)
                sums.append(torch.where(counted, missed, 0.0).sum() / self.encoding.xy_scale)
                counts.append(counted.sum())
        return RolloutErrors(torch.stack(sums), torch.stack(counts))

    def _play(self, predict: Predictor, floats: Tensor, ints: Tensor, frame: int) -> None:
        """Replace a frame by the prediction from the K frames before it and the controllers in it."""
        context = slice(frame - self.context_len, frame)
        controls = both(floats[:, frame], CONTROLLERS)
        prediction = predict(floats[:, context], ints[:, context], controls)
        floats[:, frame], ints[:, frame] = advance(
            floats[:, frame - 1], ints[:, frame - 1], prediction, controls, self.encoding
        )
