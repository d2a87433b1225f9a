"""Checks of a card that involve several fields. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from cardrunner.card.schema.training import TrainingSection
from cardrunner.common.text import did_you_mean, listed
from cardrunner.errors import PluginFailed, UsageError
from cardrunner.specs import Location, Remark
from cardrunner.workloads.melee.arena.agent_names import OWN, SIMULATOR, read_agent, split_game
from cardrunner.workloads.melee.demo.section import MatchDemo
from cardrunner.workloads.melee.encoding.layout import ANALOG, BUTTONS, FLOATS, INTS
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.policy.arithmetic import split_tolerance, total_examples, training_share
from cardrunner.workloads.melee.policy.models import SIZES, find_model, model_names
from cardrunner.workloads.melee.policy.sections import FrameModel, GamesData, PolicyModel


class Term(NamedTuple):
    """A term of a loss: its only kind, and its default weight."""

    kind: str
    weight: float = 1.0


LOSS_TERMS: Mapping[str, Term] = {"analog": Term("mse"), "buttons": Term("bce")}
"""The loss terms of a policy."""


def guess(word: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?``, or a list of the choices."""
    choice = tuple(known)
    return did_you_mean(word, choice, otherwise=f"; there is {listed(choice)}")


def check_model(model: PolicyModel) -> Iterator[Remark]:
    """Faults of the architecture, its sizes and its outputs."""
    yield from _architecture(model)
    for name, stated, expected in (
        ("analog", model.outputs.analog, len(ANALOG)),
        ("buttons", model.outputs.buttons, len(BUTTONS)),
    ):
        if stated != expected:
            text = f"is {stated}, but a controller has {expected} {name} values; write {expected} or leave it out"
            yield Remark(loc=("model", "outputs", name), message=text)


def _architecture(model: PolicyModel) -> Iterator[Remark]:
    try:
        found = find_model(model.architecture)
    except PluginFailed as failed:
        yield Remark(loc=("model", "architecture"), message=str(failed))
        return
    if found is None:
        text = f"unknown architecture {model.architecture!r}{guess(model.architecture, model_names())}"
        yield Remark(loc=("model", "architecture"), message=text)
        return
    for name in SIZES:
        if name not in found.sizes and name in model.model_fields_set:
            yield Remark(loc=("model", name), message=f"is not a size of {found.name}; leave it out")


def check_data(model: FrameModel, data: GamesData) -> Iterator[Remark]:
    """Faults of source, split and encoding."""
    yield from _generator(data)
    yield from _split(model, data)
    yield from _encoding(data)


def check_training(training: TrainingSection, terms: Mapping[str, Term] = LOSS_TERMS) -> Iterator[Remark]:
    """Faults of the loss: the names, kinds and weights of its terms."""
    for name, term in training.loss.items():
        loc: Location = ("training", "loss", name)
        if name not in terms:
            yield Remark(loc=loc, message=f"unknown loss term{guess(name, terms)}")
        elif term.kind != terms[name].kind:
            text = f"is {term.kind!r}, but the {name} term is {terms[name].kind}; write {terms[name].kind}"
            yield Remark(loc=(*loc, "kind"), message=text)
    for name, usual in terms.items() if training.loss else ():
        if name not in training.loss:
            weight = f"{usual.weight:g}"
            text = f"leaves out {name}, which then has weight {weight}; state it, with weight 0 to switch it off"
            yield Remark(loc=("training", "loss"), message=text, severity="warning")
    if set(training.loss) >= set(terms) and not any(term.weight for term in training.loss.values()):
        yield Remark(loc=("training", "loss"), message="has no term with a weight above 0, so nothing would be learned")


def check_demo(demo: MatchDemo | None, *, trains: Literal["policy", "world model"]) -> Iterator[Remark]:
    """Faults of the demo: its agents, its world and the game it starts from.

    Args:
        demo: the card's section.
        trains: the kind of model in the run's own checkpoints.
    """
    if demo is None:
        return
    for slot in ("p0", "p1"):
        try:
            agent = read_agent(getattr(demo, slot))
        except UsageError as error:
            yield Remark(loc=("after_training", "demo", slot), message=str(error))
        else:
            if agent.is_own and trains != "policy":
                text = f"policy:{agent.checkpoint} is this run's own checkpoint, which is a {trains}; write policy:PATH"
                yield Remark(loc=("after_training", "demo", slot), message=text)
    if demo.world_model in OWN and trains == "policy":
        text = f"{demo.world_model} is this run's own checkpoint, which is a {trains}; write {SIMULATOR} or a path"
        yield Remark(loc=("after_training", "demo", "world_model"), message=text)
    if isinstance(demo.seed_game, str) and demo.seed_game != SIMULATOR:
        try:
            split_game(demo.seed_game)
        except UsageError as error:
            yield Remark(loc=("after_training", "demo", "seed_game"), message=str(error))


def _generator(data: GamesData) -> Iterator[Remark]:
    if data.is_synthetic and data.synthetic is None:
        text = "the size of the generated data is missing; write {games: 24, frames_per_game: 1800, seed: 0}"
        yield Remark(loc=("data", "synthetic"), message=text)
    if data.synthetic is not None and not data.is_synthetic:
        text = "is only for source: synthetic; remove it, or make synthetic the source"
        yield Remark(loc=("data", "synthetic"), message=text)


def _split(model: FrameModel, data: GamesData) -> Iterator[Remark]:
    if data.split.by != "game":
        text = f"is {data.split.by!r}, but only whole games can be split; write game"
        yield Remark(loc=("data", "split", "by"), message=text)
    games, total = data.known_games, total_examples(model, data)
    if games is not None:
        train = int(games * data.split.train)
        if train in (0, games):
            side = "training" if train == 0 else "validation"
            text = f"{data.split.train:g} of {games} games leaves no game for {side}; choose another share"
            yield Remark(loc=("data", "split", "train"), message=text)
    if total is not None and total <= 0:
        games_text = f"{data.known_frames} frames in {data.known_games} games"
        text = f"{games_text} leave no example with context_len {model.context_len}"
        yield Remark(loc=("data", "frames"), message=text)
    yield from _share(data, total)


def _share(data: GamesData, total: int | None) -> Iterator[Remark]:
    """Stated example counts whose proportion differs from the split."""
    if not total or total <= 0 or data.train_examples is None or data.val_examples is None:
        return
    stated, expected = data.train_examples / (data.train_examples + data.val_examples), training_share(data)
    if abs(stated - expected) > split_tolerance(data):
        text = f"is {stated:.1%} of the examples, but the split gives about {expected:.1%}; are the two swapped?"
        yield Remark(loc=("data", "train_examples"), message=text, severity="warning")


def _encoding(data: GamesData) -> Iterator[Remark]:
    stated = data.encoding.stated()
    usual = {name: field.default for name, field in EncodingConfig.model_fields.items()}
    for name, value in stated.items():
        if value != usual[name]:
            text = (
                f"is {_yaml(value)}, but this version trains on files of {FLOATS} floats and {INTS} ints per frame,"
                f" made with {name}: {_yaml(usual[name])}"
            )
            yield Remark(loc=("data", "encoding", name), message=text)


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
