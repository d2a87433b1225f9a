"""The rows of the review page that only this workload can word. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cardrunner.card.schema.card import Card
from cardrunner.workloads.melee.spec_page import data_rows, loss_text
from cardrunner.workloads.melee.spec_sections import GamesData
from cardrunner.workloads.melee.world_model.arithmetic import world_model_parameters
from cardrunner.workloads.melee.world_model.columns import outputs
from cardrunner.workloads.melee.world_model.metric_names import LOSS_TERMS
from cardrunner.workloads.melee.world_model.sections import SIZES_OF, ScheduledSampling, WorldModelSection

_ABOUT = {"FrameStackMLP": "FrameStackMLP (frames flattened)", "Mamba2": "Mamba-2 (state-space duality)"}


def describe(
    card: Card, model: WorldModelSection, data: GamesData, sampling: ScheduledSampling | None
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Section -> (field, value) rows, in the order reviewers read them."""
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
