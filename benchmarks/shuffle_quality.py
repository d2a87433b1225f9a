"""Does a model learn less when its examples are shuffled in blocks? Paired seeds, full against block shuffle.

    CARDRUNNER_DATA=folder OMP_NUM_THREADS=1 python -m benchmarks.shuffle_quality

Trains the policy of the real-games card on its first 28 games and validates on the last 4, once per seed and mode; both
runs of a pair begin with the same weights. Blocks are small on purpose: a quarter of these few games, some seventy
stretches of a thousand examples, where a real run with the usual block mixes over seven hundred. Prints the differences
of the final validation losses with a 95 % bootstrap interval of their mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from benchmarks.policy_run import card, games, trainer
from cardrunner.card.schema.card import Card
from cardrunner.training.feed import Feed
from cardrunner.training.metrics import Evaluation
from cardrunner.training.numerics import Numerics, numerics
from cardrunner.training.optim import make_schedule
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset, split_games
from cardrunner.workloads.melee.encoding.windows import player_examples
from cardrunner.workloads.melee.policy.spec import model_of

_RESAMPLES = 10_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    differences = []
    with games(wanted.games) as data:
        read = _card(wanted)
        with numerics(read.training) as setting:
            print(f"threads {setting.threads}, {wanted.epochs} epochs, blocks of {wanted.block_bytes / 2**20:g} MiB")
            for seed in range(wanted.seeds):
                full, block = (final_loss(read, data, setting, seed, size) for size in (None, wanted.block_bytes))
                differences.append(block - full)
                print(f"  seed {seed}: full {full:.5f}, block {block:.5f}, difference {block - full:+.5f}", flush=True)
    low, high = _interval(differences)
    print(f"  mean difference {np.mean(differences):+.5f}  [{low:+.5f}, {high:+.5f}]  n={len(differences)}")


def final_loss(read: Card, data: EncodedData, setting: Numerics, seed: int, block_bytes: int | None) -> float:
    """Train from fresh weights of this seed; the example-weighted validation loss at the end."""
    sides = split_games(data.games, read.data.split.train)
    train, validation = (
        FrameDataset(data, side, context_len=model_of(read).context_len, examples=player_examples(0)) for side in sides
    )
    training = read.training.model_copy(update={"seed": seed})
    one = trainer(read.model_copy(update={"training": training}), train, setting, fast=True)
    one.feed = Feed(train, device=setting.device, block_bytes=block_bytes)
    one.schedule = make_schedule(training, one.optimizer, steps_per_epoch=max(1, len(train) // training.batch_size))
    torch.manual_seed(seed)
    for module in one.model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            module.reset_parameters()
    for _ in range(training.epochs):
        for _ in one.epoch():
            pass
        one.finish_epoch()
    scores = Evaluation(validation, one.objective, setting, batch_size=training.batch_size).model(one.model)
    return scores.weighted[one.objective.names[0]]


def _card(wanted: argparse.Namespace) -> Card:
    read = card(batch_size=wanted.batch_size)
    training = read.training.model_copy(update={"epochs": wanted.epochs, "schedule": "cosine"})
    return read.model_copy(update={"training": training})


def _interval(differences: Sequence[float]) -> tuple[float, float]:
    """Percentile bootstrap of the mean (Efron, 1979)."""
    values = np.asarray(differences)
    picks = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(1), (0.025, 0.975))
    return float(low), float(high)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--block-bytes", type=int, default=24 << 20, help="24 MiB are a quarter of the 28 games")
    parser.add_argument("--games", type=int, help="made-up games instead of the real ones")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
