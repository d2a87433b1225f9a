"""train: the model is trained and validated, epoch by epoch, from wherever the newest checkpoint left off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from cardrunner.runs.context import RunContext
from cardrunner.runs.records import Split
from cardrunner.stages.processes import checked_processes, train_in_processes
from cardrunner.stages.run_data import open_run_data
from cardrunner.training.group import joined
from cardrunner.training.numerics import numerics
from cardrunner.training.session import Session


@dataclass(frozen=True)
class TrainStage:
    """Leaves history, checkpoints, ``best.pt``, ``latest.pt`` and ``stages/train.json``."""

    name: ClassVar[str] = "train"
    side: ClassVar[Literal["worker"]] = "worker"

    def run(self, ctx: RunContext) -> None:
        """Train; see `Session.run` for how it can end.

        Raises:
            UsageError: the card asks for something that this data or workload has not.
            EnvironmentFailed: a file, the device, memory or the disk failed, or a process died.
            IntegrityError: data or checkpoints are not what they should be.
        """
        if (processes := checked_processes(ctx.card)) > 1:
            train_in_processes(ctx, processes)
            return
        with numerics(ctx.card.training) as found:
            Session(ctx, open_run_data(ctx), found).run()


def train_as_one_of(ctx: RunContext, *, rank: int, world: int, splits: Sequence[Split]) -> None:
    """One process's part of `train_in_processes`."""
    with joined(rank=rank, world=world, gpu=ctx.card.infra.gpus > 1) as group, numerics(ctx.card.training) as found:
        Session(ctx, open_run_data(ctx), found, group=group, splits=splits).run()


STAGE = TrainStage()
