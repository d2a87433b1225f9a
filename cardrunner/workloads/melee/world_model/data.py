"""The data of a world-model run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from cardrunner.card.estimate import batches_of, processes_of
from cardrunner.card.schema.card import Card
from cardrunner.contracts import Batch, Progress
from cardrunner.workloads.melee.encoding.encoded_data import open_data
from cardrunner.workloads.melee.encoding.game_data import GameData, GameExamples, game_files
from cardrunner.workloads.melee.world_model.examples import WorldBatch, world_examples
from cardrunner.workloads.melee.world_model.metric_names import ROLLOUT_HORIZONS
from cardrunner.workloads.melee.world_model.sections import ScheduledSampling
from cardrunner.workloads.melee.world_model.spec import data_of, model_of, sampling_of


class WorldModelData(GameData):
    """Games whose every frame is learned; also the `BatchHook` of the training loop that sets how many examples see the
    model's own predictions."""

    def on_batch(self, step: int, batch: Batch) -> Batch:
        """The batch with the `share` of this step, which depends only on the step, so a resumed run has the same."""
        sampling = sampling_of(self.card)
        if sampling is None:
            return batch
        own = WorldBatch(*batch)
        return own._replace(share=torch.full_like(own.share, self._share(sampling, step)))

    def _share(self, sampling: ScheduledSampling, step: int) -> float:
        batches = batches_of(len(self.train), self.card.training, processes=processes_of(self.card))
        steps = -(-batches // self.card.training.gradient_accumulation) * sampling.anneal_epochs
        return sampling.rate * (min(1.0, (step - 1) / steps) if steps else 1.0)


def open_world_model_data(card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> WorldModelData:
    """Open the card's files, or make its games first.

    Raises:
        EnvironmentFailed: a file is absent or cannot be read or written.
        IntegrityError: a file is not an encoded file of the 56 + 17 layout, or files are encoded differently.
    """
    section, before = data_of(card), frames_before(card)
    kind = GameExamples(
        section,
        model_of(card).context_len,
        train=world_examples(before=before, after=1),
        validation=world_examples(before=before, after=max(ROLLOUT_HORIZONS)),
    )
    encoded = open_data(game_files(section, files, scratch=scratch, progress=progress))
    return WorldModelData(card, encoded, kind, scratch=scratch, progress=progress)


def frames_before(card: Card) -> int:
    """Frames before the context that an example needs to predict its last context frames."""
    sampling = sampling_of(card)
    return sampling.frames if sampling else 0
