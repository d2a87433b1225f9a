"""train: the model is trained and validated, epoch by epoch, from wherever the newest checkpoint left off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from cardrunner.runs.context import RunContext
from cardrunner.stages.opening import open_run_data
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
            EnvironmentFailed: a file, the device, memory or the disk failed.
            IntegrityError: data or checkpoints are not what they should be.
        """
        with numerics(ctx.card.training) as found:
            Session(ctx, open_run_data(ctx), found).run()


STAGE = TrainStage()
