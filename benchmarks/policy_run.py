"""The policy run that is measured: the card of the real games, its data and trainers for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.schema.card import Card
from cardrunner.training.feed import Feed
from cardrunner.training.loop import Trainer
from cardrunner.training.numerics import Numerics
from cardrunner.training.optim import make_optimizer, make_schedule
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData, open_data
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset
from cardrunner.workloads.melee.encoding.windows import player_examples
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes
from cardrunner.workloads.melee.policy.objective import PolicyObjective
from cardrunner.workloads.melee.policy.spec import model_of
from cardrunner.workloads.melee.simulator.simulator import generate

CARD = Path(__file__).parents[1] / "runcards" / "real-games.yaml"


@contextmanager
def games(count: int | None) -> Iterator[EncodedData]:
    """The real games in the folder CARDRUNNER_DATA; made-up ones without it.

    Args:
        count: use this number of made-up games of 600 frames instead.
    """
    real = Path(os.environ.get("CARDRUNNER_DATA", "")) / "encoded-real-32.pt"
    if count is None and real.is_file():
        yield open_data([real])
        return
    with TemporaryDirectory() as folder:
        made = Path(folder) / "games.pt"
        generate(made, games=count or 32, frames_per_game=600)
        yield open_data([made])


def card(*, batch_size: int) -> Card:
    """The card with another batch size, and a constant learning rate so that steps may go on for ever."""
    read = load_card(CARD, registry.workload_spec).card
    training = read.training.model_copy(update={"batch_size": batch_size, "schedule": "constant"})
    return read.model_copy(update={"training": training})


def dataset(of: Card, data: EncodedData) -> FrameDataset:
    """All examples of player 0."""
    return FrameDataset(data, range(data.games), context_len=model_of(of).context_len, examples=player_examples(0))


def policy(of: Card, *, fast: bool) -> PolicyMLP:
    """A fresh model with the same weights at every call."""
    torch.manual_seed(0)
    sizes = model_of(of)
    model = PolicyMLP(
        PolicySizes(context_len=sizes.context_len, hidden_dim=sizes.hidden_dim, trunk_dim=sizes.trunk_dim),
        dropout=sizes.dropout,
    )
    model.fast = fast
    return model.train()


def trainer(of: Card, examples: FrameDataset, numerics: Numerics, *, fast: bool) -> Trainer:
    """A trainer as a run would build it."""
    model = policy(of, fast=fast).to(numerics.device)
    optimizer = make_optimizer(of.training, model.parameters())
    return Trainer(
        training=of.training,
        numerics=numerics,
        model=model,
        objective=PolicyObjective.of(of.training),
        optimizer=optimizer,
        schedule=make_schedule(of.training, optimizer, steps_per_epoch=1),
        feed=Feed(examples, device=numerics.device),
        on_out_of_memory=_give_up,
    )


def steps(of: Trainer) -> Iterator[None]:
    """Train for ever, epoch after epoch."""
    while True:
        yield from of.epoch()
        of.finish_epoch()


def _give_up(error: BaseException) -> None:
    raise error
