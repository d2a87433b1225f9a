"""The torch half of the world-model workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from torch import nn

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Batch, Data, DemoResult, Objective, Progress, Workload, WorkloadSpec
from cardrunner.errors import UsageError
from cardrunner.workloads.melee.demo.play import DemoRun, play_demo
from cardrunner.workloads.melee.demo.section import demo_of
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.world_model.baselines import count_staying, make_baselines
from cardrunner.workloads.melee.world_model.examples import WorldModelData, frames_before, open_world_model_data
from cardrunner.workloads.melee.world_model.foresight import Foreseer
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Sizes
from cardrunner.workloads.melee.world_model.model_file import CONTEXT_KEY, ENCODING_KEY
from cardrunner.workloads.melee.world_model.objective import WorldModelObjective
from cardrunner.workloads.melee.world_model.prediction import WorldModel
from cardrunner.workloads.melee.world_model.sections import FRAME_STACK_MLP, MAMBA2, WorldModelSection
from cardrunner.workloads.melee.world_model.spec import SPEC, data_of, model_of, sampling_of


def _frame_stack(model: WorldModelSection, encoding: EncodingConfig) -> WorldModel:
    sizes = FrameStackSizes(context_len=model.context_len, hidden_dim=model.hidden_dim, trunk_dim=model.trunk_dim)
    return FrameStackMLP(sizes, dropout=model.dropout, encoding=encoding)


def _mamba2(model: WorldModelSection, encoding: EncodingConfig) -> WorldModel:
    sizes = Mamba2Sizes(
        context_len=model.context_len,
        d_model=model.d_model,
        d_state=model.d_state,
        n_layers=model.n_layers,
        headdim=model.headdim,
        chunk_size=model.chunk_size or model.context_len,
    )
    return Mamba2(sizes, dropout=model.dropout, encoding=encoding)


MODELS: Final[Mapping[str, Callable[[WorldModelSection, EncodingConfig], WorldModel]]] = {
    FRAME_STACK_MLP: _frame_stack,
    MAMBA2: _mamba2,
}


class WorldModelWorkload:
    """The workload that trains a model of the game."""

    spec: WorkloadSpec = SPEC

    def open_data(self, card: Card, files: Sequence[Path], *, scratch: Path, progress: Progress) -> Data:
        """Open the card's files, or make its games; raises as `open_world_model_data`."""
        return open_world_model_data(card, files, scratch=scratch, progress=progress)

    def build_model(self, card: Card) -> nn.Module:
        """A model of the card's architecture and sizes with fresh weights from torch's global generator."""
        return MODELS[model_of(card).architecture](model_of(card), data_of(card).encoding.resolved())

    def objective(self, card: Card) -> Objective:
        """Loss and metrics with the card's weights."""
        return WorldModelObjective.of(card.training, _foreseer(card))

    def baselines(self, card: Card, data: Data) -> Mapping[str, Callable[[Batch], Any]]:
        """Repeat the last state, constant velocity; counts the training games once."""
        games = _own(data)
        return make_baselines(count_staying(games.encoded, games.train_games), _foreseer(card))

    def export_config(self, card: Card) -> Mapping[str, Any]:
        """The `config` of a checkpoint: the model's architecture and sizes."""
        return {"model_type": model_of(card).architecture, "context_len": model_of(card).context_len}

    def export_fields(self, card: Card) -> Mapping[str, Any]:
        """Further fields of the existing checkpoint format."""
        encoding = data_of(card).encoding.resolved()
        return {ENCODING_KEY: encoding.model_dump(), CONTEXT_KEY: model_of(card).context_len}

    def demo(self, card: Card, checkpoint: Path, data: Data, *, out: Path, progress: Progress) -> DemoResult | None:
        """A match of the card's agents, usually in this model; None if the card has no demo.

        Raises as `play_demo`.
        """
        wanted = demo_of(card)
        if wanted is None:
            return None
        games = _own(data)
        run = DemoRun(
            demo=wanted,
            world_model=checkpoint,
            data=games.encoded,
            games=games.validation_games,
            seed=card.training.seed,
            context_len=model_of(card).context_len,
        )
        return play_demo(run, out=out, progress=progress)


def _foreseer(card: Card) -> Foreseer:
    encoding, sampling = data_of(card).encoding.resolved(), sampling_of(card)
    return Foreseer(model_of(card).context_len, frames_before(card), encoding, sampling.rate if sampling else 0.0)


def _own(data: Data) -> WorldModelData:
    if not isinstance(data, WorldModelData):
        raise UsageError(f"this data was opened by another workload than {SPEC.name}; open it with this one")
    return data


WORKLOAD: Workload = WorldModelWorkload()
