"""The model and training sections of a world-model card. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field

from cardrunner.card.schema.base import Fraction, PositiveCount, Section
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.training import TrainingSection
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.policy.arithmetic import linear
from cardrunner.workloads.melee.policy.page import data_rows, loss_text
from cardrunner.workloads.melee.policy.sections import FrameModel, GamesData
from cardrunner.workloads.melee.world_model.columns import CONTROLS, outputs
from cardrunner.workloads.melee.world_model.metric_names import LOSS_TERMS

FRAME_STACK_MLP: Final = "FrameStackMLP"
MAMBA2: Final = "Mamba2"
SIZES_OF: Final = {
    FRAME_STACK_MLP: ("hidden_dim", "trunk_dim"),
    MAMBA2: ("d_model", "d_state", "n_layers", "headdim", "chunk_size"),
}
"""The fields that belong to each architecture."""
EXPAND: Final = 2
"""Inner width of a Mamba-2 block over its outer one."""
CONV_WIDTH: Final = 4
"""Frames that the convolution of a Mamba-2 block sees."""
MOST_SAMPLED: Final = 32


class WorldModelSection(FrameModel):
    """A model of the game: the last K frames and the coming controllers in, the coming frame out."""

    hidden_dim: PositiveCount = 512
    """FrameStackMLP: units of the first layer."""
    trunk_dim: PositiveCount = 256
    """FrameStackMLP: units of the second layer."""
    d_model: PositiveCount = 384
    """Mamba2: width of a frame between the blocks."""
    d_state: PositiveCount = 64
    """Mamba2: numbers of state for each inner number."""
    n_layers: Annotated[PositiveCount, Field(le=1000)] = 4
    """Mamba2: blocks."""
    headdim: PositiveCount = 64
    """Mamba2: inner numbers of a head; 2 x d_model is a multiple of it."""
    chunk_size: PositiveCount | None = None
    """Mamba2: frames of a chunk of the scan, which changes the speed and not the function; all of context_len where
    nothing is stated."""


class ScheduledSampling(Section):
    """Some examples end their context with the model's own predictions, as all do when it plays."""

    rate: Fraction
    """Share of the examples once it is fully on."""
    frames: Annotated[PositiveCount, Field(le=MOST_SAMPLED)] = 3
    """How many of the last context frames are predicted ones."""
    anneal_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Epochs over which the share rises from 0."""


class WorldModelTraining(TrainingSection):
    """The training of a world model."""

    scheduled_sampling: ScheduledSampling | None = None


def world_model_parameters(model: WorldModelSection, data: GamesData) -> int:
    """Trainable parameters: 1,433,602 and 4,282,386 with the usual sizes of FrameStackMLP and Mamba2."""
    encoding = data.encoding.resolved()
    own = _mamba2(model, encoding) if model.architecture == MAMBA2 else _frame_stack(model, encoding)
    return encoding.embedding_parameters + own


def parameter_formula(model: WorldModelSection, data: GamesData) -> str:
    """The sizes that the parameter count follows from."""
    width = data.encoding.resolved().frame_width
    if model.architecture == MAMBA2:
        return (
            f"Mamba2 with {width} inputs, d_model {model.d_model}, d_state {model.d_state}, {model.n_layers} layers,"
            f" headdim {model.headdim}"
        )
    return (
        f"{model.architecture} with context_len {model.context_len} x {width} + {CONTROLS} inputs,"
        f" hidden_dim {model.hidden_dim}, trunk_dim {model.trunk_dim}"
    )


def _frame_stack(model: WorldModelSection, encoding: EncodingConfig) -> int:
    inputs, hidden, trunk = model.context_len * encoding.frame_width + CONTROLS, model.hidden_dim, model.trunk_dim
    return linear(inputs, hidden) + linear(hidden, trunk) + linear(trunk, outputs(encoding))


def _mamba2(model: WorldModelSection, encoding: EncodingConfig) -> int:
    width, inner = model.d_model, EXPAND * model.d_model
    convolved, heads = inner + 2 * model.d_state, inner // model.headdim
    projections = width * (inner + convolved + heads) + inner * width
    block = projections + convolved * (CONV_WIDTH + 1) + 3 * heads + inner  # dt_bias, A_log and D; the gated norm
    around = linear(encoding.frame_width, width) + linear(CONTROLS, width) + width  # the final norm
    return around + model.n_layers * (block + width) + linear(width, outputs(encoding))


_ABOUT = {"FrameStackMLP": "FrameStackMLP (frames flattened)", "Mamba2": "Mamba-2 (state-space duality)"}


def describe(
    card: Card, model: WorldModelSection, data: GamesData, sampling: ScheduledSampling | None
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Section -> (field, value) rows, in display order."""
    training = [("Loss", loss_text(card, LOSS_TERMS)), ("Scheduled sampling", _sampling(sampling))]
    return {"data": data_rows(model, data), "model": _model(model, data), "training": training}


def _model(model: WorldModelSection, data: GamesData) -> list[tuple[str, str]]:
    parameters = model.parameters or world_model_parameters(model, data)
    stated = {**model.model_dump(), "chunk_size": model.chunk_size or model.context_len}
    sizes = [(name, str(stated[name])) for name in SIZES_OF.get(model.architecture, ())]
    return [
        ("Architecture", _ABOUT.get(model.architecture, model.architecture)),
        ("Parameters", f"{parameters:,}"),
        ("Context len (K)", str(model.context_len)),
        *sizes,
        ("Dropout", f"{model.dropout:g}"),
        ("Output", f"{outputs(data.encoding.resolved()):,} numbers: the next frame, given both controllers"),
    ]


def _sampling(sampling: ScheduledSampling | None) -> str:
    if sampling is None:
        return "none"
    frames = "frame" if sampling.frames == 1 else f"{sampling.frames} frames"
    over = f"; the share rises over {sampling.anneal_epochs:g} epochs" if sampling.anneal_epochs else ""
    return f"{sampling.rate:.0%} of the examples see the model's own prediction of the last {frames}{over}"
