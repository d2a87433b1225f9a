"""The rows of the review page for the fields of these workloads. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cardrunner.card.schema.card import Card
from cardrunner.common import units
from cardrunner.workloads.melee.policy.arithmetic import examples
from cardrunner.workloads.melee.policy.checks import LOSS_TERMS, Term
from cardrunner.workloads.melee.policy.models import model_named
from cardrunner.workloads.melee.policy.sections import (
    EncodingExpectations,
    FrameModel,
    GamesData,
    MeleeData,
    PolicyModel,
)

Rows = list[tuple[str, str]]
_KINDS = {"mse": "MSE", "bce": "BCE", "cross_entropy": "cross entropy"}


def describe(card: Card, model: PolicyModel, data: MeleeData) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Section -> (field, value) rows, in reading order."""
    other = 1 - data.predict_player
    player = ("Predict player", f"p{data.predict_player} only; perspective swapped for p{other} when it plays")
    return {
        "data": data_rows(model, data, player),
        "model": _model(model, data),
        "training": [("Loss", loss_text(card, LOSS_TERMS))],
    }


def data_rows(model: FrameModel, data: GamesData, *own: tuple[str, str]) -> Rows:
    """The rows about the games; a workload's own rows come before the encoding."""
    rows = [("Source", _source(data))]
    if data.size is not None:
        rows.append(("File size", units.format_bytes(data.size)))
    rows += [("Games", f"{data.known_games:,}")] if data.known_games else []
    rows += [("Total frames", f"{data.known_frames:,}")] if data.known_frames else []
    rows += _examples(model, data)
    rows.append(("Split", f"by {data.split.by}: the first {data.split.train * 100:.4g}% train, in file order"))
    rows.append(("Game offsets", "stored in the file; no example spans two games"))
    rows.extend(own)
    stated = _encoding(data.encoding)
    return rows + ([("Encoding", stated)] if stated else [])


def _source(data: GamesData) -> str:
    made = data.synthetic
    if data.is_synthetic and made is not None:
        return f"generated: {made.games} games of {made.frames_per_game} frames, seed {made.seed}"
    return ", ".join(file.path for file in data.source)


def _examples(model: FrameModel, data: GamesData) -> Rows:
    found = examples(model, data)
    if found is None:
        return []
    stated = data.train_examples is not None and data.val_examples is not None
    about, (train, validation) = "" if stated else "about ", found
    share = data.split.train
    return [
        ("Train examples", f"{about}{train:,} ({share * 100:g}%)"),
        ("Val examples", f"{about}{validation:,} ({(1 - share) * 100:.4g}%)"),
    ]


def _encoding(encoding: EncodingExpectations) -> str:
    rules = encoding.rules.model_dump(exclude_none=True)
    parts = (f"{name} {str(value).lower()}" for name, value in (*encoding.stated().items(), *rules.items()))
    return ", ".join(parts)


def _model(model: PolicyModel, data: GamesData) -> Rows:
    analog, buttons = model.outputs.analog, model.outputs.buttons
    architecture = model_named(model.architecture)
    parameters = model.parameters or architecture.parameters(model, data.encoding.resolved())
    return [
        ("Architecture", architecture.about),
        ("Parameters", f"{parameters:,}"),
        ("Context len (K)", str(model.context_len)),
        *((name.replace("_", " ").capitalize(), str(getattr(model, name))) for name in architecture.sizes),
        ("Dropout", f"{model.dropout:g}"),
        ("Output", f"analog ({analog}) + button_logits ({buttons}) = {analog + buttons}-dim controller"),
    ]


def loss_text(card: Card, terms: Mapping[str, Term]) -> str:
    """The terms of the loss with their weights."""
    stated = card.training.loss
    weights = {name: stated[name].weight if name in stated else term.weight for name, term in terms.items()}
    if len(set(weights.values())) == 1:
        named = " + ".join(f"{_KINDS[term.kind]} ({name})" for name, term in terms.items())
        return f"{named}, equal weight"
    kinds = {term.kind: [name for name in terms if terms[name].kind == term.kind] for term in terms.values()}
    groups = [
        f"{_KINDS[kind]} ({', '.join(f'{weights[name]:g} {name}' for name in names)})" for kind, names in kinds.items()
    ]
    return f"weighted sum: {' + '.join(groups)}"
