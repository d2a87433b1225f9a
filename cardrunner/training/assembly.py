"""Putting a trainer together from a card."""

from __future__ import annotations

import json
from collections.abc import Callable

from cardrunner.card.schema.training import TrainingSection
from cardrunner.contracts import Data, ReadsInBlocks, RunContext
from cardrunner.errors import UsageError
from cardrunner.runs.environment import code_sha256, installed_packages
from cardrunner.runs.events import AttemptStarted
from cardrunner.training.feed import Feed
from cardrunner.training.group import ProcessGroup
from cardrunner.training.loop import BatchHook, Trainer
from cardrunner.training.numerics import Numerics, seed_everything
from cardrunner.training.optim import make_optimizer, make_schedule
from cardrunner.training.order import batches_of, check_epoch
from cardrunner.training.state import StateOrigin

_DISTRIBUTION = "cardrunner"
_CODE = (_DISTRIBUTION, "torch")
_APART = 0x9E3779B9
"""Distance between the seeds of two processes."""


def steps_per_epoch(examples: int, training: TrainingSection, *, processes: int = 1) -> int:
    """Optimizer steps of an epoch.

    Raises:
        UsageError: the epoch has no step.
    """
    together = training.batch_size * processes
    check_epoch(examples, together, drop_last=training.drop_last)
    batches = batches_of(examples, together, drop_last=training.drop_last)
    return -(-batches // training.gradient_accumulation)


def trained_examples(examples: int, training: TrainingSection, *, processes: int = 1) -> int:
    """Examples that an epoch trains: all of them, or those in whole batches."""
    together = training.batch_size * processes
    return min(examples, batches_of(examples, together, drop_last=training.drop_last) * together)


def make_trainer(
    ctx: RunContext,
    data: Data,
    numerics: Numerics,
    *,
    on_out_of_memory: Callable[[BaseException], None],
    group: ProcessGroup,
) -> Trainer:
    """A trainer before its first step.

    Every random number after this call follows from ``training.seed``, in every process in its own way.
    """
    training = ctx.card.training
    seed_everything(training.seed)
    model = ctx.workload.build_model(ctx.card).to(numerics.device)
    if group.rank:
        seed_everything((training.seed + group.rank * _APART) % 2**32)
    optimizer = make_optimizer(training, model.parameters())
    blocks = group.share(
        block_bytes(ctx, data)
    )  # the leader's value: each process sees a different amount of free memory
    steps = steps_per_epoch(len(data.train), training, processes=group.world)
    return Trainer(
        training=training,
        numerics=numerics,
        model=model,
        objective=ctx.workload.objective(ctx.card),
        optimizer=optimizer,
        schedule=make_schedule(training, optimizer, steps_per_epoch=steps),
        feed=Feed(data.train, device=numerics.device, workers=training.workers, block_bytes=blocks),
        on_out_of_memory=on_out_of_memory,
        hook=data if isinstance(data, BatchHook) else None,
        group=group,
    )


def block_bytes(ctx: RunContext, data: Data) -> int | None:
    """Memory of a block where the data is shuffled block by block; None for full shuffle.

    Raises:
        UsageError: the card wants blocks and the workload has none.
    """
    found = data.block_bytes if isinstance(data, ReadsInBlocks) else None
    if found is None and ctx.card.data.shuffle == "block":
        raise UsageError(f"data.shuffle: the workload {ctx.card.workload} cannot read in blocks; remove this field")
    return found


def origin_of(ctx: RunContext, data: Data, numerics: Numerics, trainer: Trainer) -> StateOrigin:
    """What the states of this attempt belong to."""
    return StateOrigin(
        run=ctx.folder.name,
        card_digest=ctx.digest,
        data=json.loads(json.dumps(data.identity())),
        order=f"shuffled in blocks of {blocks} bytes" if (blocks := trainer.feed.block_bytes) else "shuffled in full",
        versions={name: version for name, version in installed_packages().items() if name in _CODE},
        code=code_sha256(_DISTRIBUTION),
        plugins=_plugins(ctx),
        threads=numerics.threads,
        processes=trainer.group.world,
    )


def _plugins(ctx: RunContext) -> dict[str, str]:
    """The plug-in packages as the attempt recorded them."""
    started = ctx.ledger.last(AttemptStarted)
    found = started.environment.plugins if started and started.environment else ()
    return {code.package: f"{code.version}, sources {code.sha256:.12}..." for code in found}
