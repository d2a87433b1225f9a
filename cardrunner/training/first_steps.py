"""Signs of life of an attempt: first the proof that its first batches are done, then a heartbeat with its progress.

The first is the proof that a launch has started, whatever the card's `log_every`; it is a ledger event. The second goes
to ``pulse.json``; nothing waits for it.
"""

from __future__ import annotations

import time

from cardrunner.contracts import RunContext
from cardrunner.runs.events import TrainingBegan
from cardrunner.runs.heartbeat import Heartbeat
from cardrunner.training.group import ProcessGroup
from cardrunner.training.loop import Trainer

FIRST_STEPS = 2
"""The first one also warms up; the second shows that the next batch comes."""


class Signs:
    """Reports signs of life after every step.

    Args:
        ctx: the attempt.
        trainer: the trainer to report on.
        group: the processes; every one calls `after_step`, the leader writes.
        began: when the attempt began, on the clock of `time.monotonic`.
    """

    def __init__(self, ctx: RunContext, trainer: Trainer, group: ProcessGroup, *, began: float) -> None:
        self.ctx, self.trainer, self.group, self.began = ctx, trainer, group, began
        self.heartbeat = Heartbeat(ctx.folder.heartbeat if group.leads else None, attempt=ctx.attempt)
        self._steps: int | None = 0
        self._examples = self._seconds = 0.0

    def start(self) -> None:
        """Count from here: earlier training belongs to earlier attempts."""
        self._examples, self._seconds = self.trainer.cursor.examples, self.trainer.cursor.train_seconds

    def after_step(self) -> None:
        """Report a step; call it before the trainer's meters are reset."""
        if self._steps is not None:
            if not self._steps:
                self.heartbeat.restart()
            self._steps += 1
            if self._steps == FIRST_STEPS or self.trainer.epoch_is_over:
                self._steps = None
                self._prove()
        self.beat()

    def beat(self) -> None:
        """Write a heartbeat; call it after any sign of life."""
        cursor = self.trainer.cursor
        self.heartbeat.beat(
            epoch=cursor.epoch, step=cursor.step, examples=cursor.examples, train_seconds=cursor.train_seconds
        )

    def _prove(self) -> None:
        figures = self.trainer.window_meter.figures()  # a collective read: every process does it at this step
        if not self.group.leads:
            return
        cursor, name = self.trainer.cursor, self.trainer.objective.names[0]
        examples, seconds = cursor.examples - self._examples, cursor.train_seconds - self._seconds
        began = TrainingBegan(
            attempt=self.ctx.attempt,
            epoch=cursor.epoch,
            step=cursor.step,
            loss=figures.weighted[name],
            examples_per_second=round(examples / seconds, 1) if seconds > 0 else None,
            seconds=round(time.monotonic() - self.began, 3),
        )
        self.ctx.ledger.append(began)
