"""One attempt at training a card, from wherever the newest checkpoint left off: train, validate, judge, save, record.

The order at the end of an epoch decides what a crash can lose, so it is always: history row, verdicts, checkpoint,
record, and only then whatever ends the run. A run killed anywhere in between repeats the rest of the epoch and writes
nothing twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from cardrunner.contracts import Data
from cardrunner.errors import CardrunnerError, EnvironmentFailed, RunStopped
from cardrunner.runs.clock import utc_seconds
from cardrunner.runs.context import RunContext
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.records import TrainRecord, write_record
from cardrunner.runs.status import metered_seconds
from cardrunner.training.assembly import make_trainer, origin_of, steps_per_epoch
from cardrunner.training.evaluate import Evaluation
from cardrunner.training.judging import judge_out_of_memory, judge_validations
from cardrunner.training.limits import Limits
from cardrunner.training.metrics import Figures
from cardrunner.training.numerics import Numerics, random_state, restore_random_state
from cardrunner.training.order import batches_of
from cardrunner.training.rows import RowWriter
from cardrunner.training.saving import Saver, due
from cardrunner.training.state import Findings
from cardrunner.training.weights import all_finite, parameter_count

_SHOWN_SECONDS = 0.2


class Session:
    """Drives a `Trainer` through the epochs of a card.

    Args:
        ctx: the attempt.
        data: the opened data; may be a `BatchHook` too.
        numerics: where the arithmetic is done.

    Raises:
        UsageError: an epoch has no batch, or ``training.select`` names a metric that nobody computes.
    """

    def __init__(self, ctx: RunContext, data: Data, numerics: Numerics) -> None:
        self.ctx, self.data, self.numerics, self.training = ctx, data, numerics, ctx.card.training
        self.steps_per_epoch = steps_per_epoch(len(data.train), self.training)
        self.trainer = make_trainer(ctx, data, numerics, on_out_of_memory=self.on_out_of_memory)
        self.findings = Findings(notes=list(numerics.notes()))
        self.saver = Saver(ctx, self.trainer, origin_of(ctx, data, numerics), self.findings)
        attempt_seconds = _attempt_seconds(ctx)
        self.limits = _limits(ctx, attempt_seconds)
        self.rows = RowWriter(ctx.history, began=time.monotonic() - attempt_seconds)
        self.stamped, self.waited = time.monotonic(), 0.0
        self.spoiled = False

    def run(self) -> None:
        """Train until the last epoch is done.

        Raises:
            RunStopped: a rule, the budget, the timeout or a request ended it. It is saved, as it is where it raises
                RunPaused, RestartWanted, Interrupted or Terminated.
            IntegrityError: the checkpoints are not those of this run, or none is usable.
            EnvironmentFailed: the disk failed, or one example does not fit into memory.
        """
        self.resume()
        self.score_baselines()
        while self.trainer.cursor.epoch <= self.training.epochs:
            began = time.monotonic()
            self.train_epoch()
            self.end_epoch(self.validate(began))
        self.record()

    def resume(self) -> None:
        """Take up the newest checkpoint; a verdict that a crash kept from ending the run ends it now."""
        entry = self.saver.resume(steps_per_epoch=self.steps_per_epoch)
        self.rows.start(self.trainer.cursor)
        self.stamped = time.monotonic()
        if entry is None:
            return
        self.ctx.progress.note(f"going on from {entry.file}, step {entry.step}")
        if self.trainer.cursor.position == 0 and _lost_without_a_word(self.ctx):
            self.end(judge_validations(self.ctx))

    def score_baselines(self) -> None:
        """Score the predictors that learned nothing, once in a run; the training's random numbers stay untouched."""
        if self.findings.baselines:
            return
        before = random_state()
        evaluation = self.evaluation()
        predictors = self.ctx.workload.baselines(self.ctx.card, self.data)
        scores = {name: evaluation.predictor(predict).prefixed("val_") for name, predict in predictors.items()}
        self.findings.baselines = {name: figures.weighted for name, figures in scores.items()}
        restore_random_state(before)
        self.record()

    def train_epoch(self) -> None:
        """Train what is left of the epoch; between steps log, save and leave as asked."""
        cursor, training = self.trainer.cursor, self.training
        left = batches_of(self.trainer.examples - cursor.position, training.batch_size, drop_last=training.drop_last)
        steps = -(-left // training.gradient_accumulation)
        with self.ctx.progress.task(f"epoch {cursor.epoch}/{training.epochs}", steps, unit="step") as task:
            shown, shown_at = 0, time.monotonic()
            for done, _ in enumerate(self.trainer.epoch(), start=1):
                self.after_step()
                if self.spoiled:
                    break
                if time.monotonic() - shown_at > _SHOWN_SECONDS:
                    task.advance(done - shown)
                    shown, shown_at = done, time.monotonic()

    def after_step(self) -> None:
        """Whatever is due between two steps."""
        if due(self.training.log_every, step=self.trainer.cursor.step, since=self.rows.logged_at):
            self.log()
        if self.spoiled:
            return
        if not self.trainer.epoch_is_over:  # the end of an epoch is saved together with its validation
            self.saver.save_if_due()
        self.leave_if_asked()

    def log(self) -> None:
        """A row over the steps since the row before.

        Spoiled weights are noticed here, so that nobody pays for the rest of the epoch.
        """
        figures = self.trainer.window_meter.figures()
        self.trainer.window_meter.reset()
        self.rows.write("train", self.trainer.cursor, figures, wait_seconds=self.trainer.feed.wait_seconds)
        loss = figures.weighted[self.trainer.objective.names[0]]
        self.spoiled = not math.isfinite(loss) and not all_finite(self.trainer.model)

    def validate(self, began: float) -> HistoryRow:
        """Score the model and write the row of the epoch that began then."""
        with self.ctx.progress.task("validation", len(self.data.validation), unit="example") as task:
            measured = self.evaluation(task.advance).model(self.trainer.model).prefixed("val_")
        if self.training.log_every.unit == "epoch" and self.trainer.cursor.epoch % self.training.log_every.value == 0:
            self.log()
        trained, wait = self.trainer.epoch_meter.figures(), self.trainer.feed.wait_seconds
        figures = Figures({**trained.weighted, **measured.weighted}, {**trained.per_batch, **measured.per_batch})
        seconds = time.monotonic() - began
        return self.rows.write("validation", self.trainer.cursor, figures, wait_seconds=wait, epoch_seconds=seconds)

    def end_epoch(self, row: HistoryRow) -> None:
        """Judge, save and record; then end the run if something asks for it."""
        finite = all_finite(self.trainer.model)
        ending = judge_validations(self.ctx) or self._not_finite(row, finite=finite)
        self.stamp()
        if finite:  # a spoiled state would only push good ones out
            self.saver.save_epoch(row, ending=ending is not None)
        self.end(ending)
        self.record()

    def evaluation(self, on_batch: Callable[[int], None] | None = None) -> Evaluation:
        """Scoring on the validation data; leaves as asked after any batch."""

        def between_batches(examples: int) -> None:
            if on_batch is not None:
                on_batch(examples)
            self.leave_if_asked()

        return Evaluation(
            self.data.validation,
            self.trainer.objective,
            self.numerics,
            batch_size=self.training.batch_size,
            workers=self.training.workers,
            block_bytes=self.trainer.feed.block_bytes,
            on_batch=between_batches,
        )

    def leave_if_asked(self) -> None:
        """Save and leave when somebody asked, or when time or money is up."""
        if self.ctx.stop.reason is not None:
            self.save()
            self.ctx.stop.raise_if_requested()
        elif (ending := self.limits.reached()) is not None:
            self.save()
            raise ending

    def on_out_of_memory(self, error: BaseException) -> None:
        """Restart where a rule says so; else let the batch be split."""
        cursor, step = self.trainer.cursor, self.trainer.cursor.step + 1
        if (ending := judge_out_of_memory(self.ctx, epoch=cursor.epoch, step=step)) is not None:
            self.save()
            raise ending
        if cursor.pieces >= self.training.batch_size:
            reason = str(error).split("\n")[0]
            raise EnvironmentFailed(
                f"step {step}: not even one example fits into memory ({reason}); "
                "take a larger machine or a smaller model"
            )
        pieces = f"a batch goes through the model in {2 * cursor.pieces} pieces"
        note = f"out of memory at step {step}: from there on {pieces}; the effective batch stays the same"
        self.findings.notes.append(note)
        self.ctx.ledger.append("warning", attempt=self.ctx.attempt, message=note)

    def end(self, ending: CardrunnerError | None) -> None:
        """Leave when something ends the run; everything is saved."""
        if ending is not None:
            self.record()
            raise ending

    def save(self) -> None:
        """Save the full state and the record."""
        self.stamp()
        self.saver.save_state()
        self.record()

    def stamp(self) -> None:
        """Add the time since the last stamp to what the whole run took."""
        now, wait = time.monotonic(), self.trainer.feed.wait_seconds
        self.findings.seconds += now - self.stamped
        self.findings.wait_seconds += wait - self.waited
        self.stamped, self.waited = now, wait

    def record(self) -> None:
        """Write ``stages/train.json``."""
        self.stamp()
        cursor, found = self.trainer.cursor, self.findings
        record = TrainRecord(
            epochs_planned=self.training.epochs,
            epochs_done=cursor.epoch - 1,
            steps=cursor.step,
            steps_per_epoch=self.steps_per_epoch,
            examples=cursor.examples,
            parameters=parameter_count(self.trainer.model),
            device=str(self.numerics.device),
            precision=self.numerics.precision,
            threads=self.numerics.threads,
            seconds=found.seconds,
            train_seconds=cursor.train_seconds,
            wait_seconds=found.wait_seconds,
            best=found.best,
            baselines=found.baselines,
            weights_sha256=found.weights_sha256,
            notes=tuple(found.notes),
        )
        write_record(self.ctx.folder.record("train"), record)

    def _not_finite(self, row: HistoryRow, *, finite: bool) -> RunStopped | None:
        if finite and math.isfinite(row.metrics[f"val_{self.trainer.objective.names[0]}"]):
            return None
        what = "the validation loss is" if finite else "the weights are"
        where = f"at step {row.step} in epoch {row.epoch}"
        return RunStopped(
            f"{what} not finite {where} and no kill threshold ended the run; "
            "lower training.learning_rate or look at the data"
        )


def _attempt_seconds(ctx: RunContext) -> float:
    """Since the attempt began, as the ledger has it."""
    started = ctx.ledger.last("attempt_started")
    return max(0.0, time.time() - utc_seconds(started["at"])) if started else 0.0


def _limits(ctx: RunContext, attempt_seconds: float) -> Limits:
    metered = metered_seconds(ctx.folder) if ctx.card.timing.budget is not None else 0.0
    return Limits.of(ctx.card, attempt_seconds=attempt_seconds, metered_seconds=max(metered, attempt_seconds))


def _lost_without_a_word(ctx: RunContext) -> bool:
    """Whether the attempt before this one died without recording its end, and this one only begins."""
    turns = ctx.ledger.events("attempt_started", "attempt_ended", "restarted")
    return [event["event"] for event in turns[-2:]] == ["attempt_started", "attempt_started"]
