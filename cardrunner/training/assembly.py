"""Putting a trainer together from a card."""

from __future__ import annotations

import json
from collections.abc import Callable

from cardrunner.card.schema.training import TrainingSection
from cardrunner.contracts import Data, ReadsInBlocks
from cardrunner.errors import UsageError
from cardrunner.runs.context import RunContext
from cardrunner.runs.environment import installed_packages
from cardrunner.training.feed import Feed
from cardrunner.training.loop import BatchHook, Trainer
from cardrunner.training.numerics import Numerics, seed_everything
from cardrunner.training.optim import make_optimizer, make_schedule
from cardrunner.training.order import batches_of, check_epoch
from cardrunner.training.state import Origin

_CODE = ("cardrunner", "torch")


def steps_per_epoch(examples: int, training: TrainingSection) -> int:
    """Optimizer steps of an epoch.

    Raises:
        UsageError: there is none.
    """
    check_epoch(examples, training.batch_size, drop_last=training.drop_last)
    batches = batches_of(examples, training.batch_size, drop_last=training.drop_last)
    return -(-batches // training.gradient_accumulation)


def make_trainer(
    ctx: RunContext, data: Data, numerics: Numerics, *, on_out_of_memory: Callable[[BaseException], None]
) -> Trainer:
    """A trainer before its first step; every random number after this call follows from ``training.seed``."""
    training = ctx.card.training
    seed_everything(training.seed)
    model = ctx.workload.build_model(ctx.card).to(numerics.device)
    optimizer = make_optimizer(training, model.parameters())
    return Trainer(
        training=training,
        numerics=numerics,
        model=model,
        objective=ctx.workload.objective(ctx.card),
        optimizer=optimizer,
        schedule=make_schedule(training, optimizer, steps_per_epoch=steps_per_epoch(len(data.train), training)),
        feed=Feed(data.train, device=numerics.device, workers=training.workers, block_bytes=block_bytes(ctx, data)),
        on_out_of_memory=on_out_of_memory,
        hook=data if isinstance(data, BatchHook) else None,
    )


def block_bytes(ctx: RunContext, data: Data) -> int | None:
    """Memory of a block where the data is shuffled block by block; None for full shuffle.

    Raises:
        UsageError: the card wants blocks and the workload has none.
    """
    found = data.block_bytes if isinstance(data, ReadsInBlocks) else None
    if found is None and ctx.card.data.shuffle == "block":
        raise UsageError(f"data.shuffle: the workload {ctx.card.workload} cannot read in blocks; remove it")
    return found


def origin_of(ctx: RunContext, data: Data, numerics: Numerics) -> Origin:
    """What the states of this attempt belong to."""
    return Origin(
        run=ctx.folder.name,
        card_digest=ctx.digest,
        data=json.loads(json.dumps(data.identity())),
        order=f"shuffled in blocks of {blocks} bytes" if (blocks := block_bytes(ctx, data)) else "shuffled in full",
        versions={name: version for name, version in installed_packages().items() if name in _CODE},
        threads=numerics.threads,
    )
