"""One attempt at training a card, from wherever the newest checkpoint left off: train, validate, judge, save, record.

The order at the end of an epoch decides what a crash can lose, so it is always: history row, verdicts, checkpoint,
record, and only then whatever ends the run. A run killed anywhere in between repeats the rest of the epoch and writes
nothing twice.

With several processes each runs a session. They train and validate together; the leader judges, writes and decides, and
the others follow.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence

from cardrunner.contracts import Data, RunContext
from cardrunner.errors import CardrunnerError, EnvironmentFailed, RunPaused, RunStopped
from cardrunner.kill_rules import Row
from cardrunner.runs.events import Acknowledged, Leaving, WarningGiven
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.records import BatchSplit, TrainRecord, write_record
from cardrunner.runs.status import ACKNOWLEDGE, metered_seconds
from cardrunner.training.assembly import make_trainer, origin_of, steps_per_epoch, trained_examples
from cardrunner.training.budget import RunLimits, Spending, attempt_seconds
from cardrunner.training.first_steps import Signs
from cardrunner.training.group import Followed, GroupOutOfMemory, ProcessGroup
from cardrunner.training.judging import Judge
from cardrunner.training.metrics import Evaluation, Figures
from cardrunner.training.numerics import Numerics, random_state, restore_random_state
from cardrunner.training.order import batches_of
from cardrunner.training.rows import Pace, RowWriter
from cardrunner.training.saving import Saver, due_by_clock, due_by_count
from cardrunner.training.splitting import halved, split_sentence
from cardrunner.training.state import Findings, all_finite, parameter_count
from cardrunner.training.watch import Asked, Watch

_SHOWN_SECONDS = 0.2


class Session:
    """Runs a `Trainer` through the epochs of a card.

    Args:
        ctx: the attempt.
        data: the opened data; may be a `BatchHook` too.
        numerics: where the arithmetic is done.
        group: the processes that train together.
        splits: steps of this attempt that did not fit into a process's memory, as in `Findings`.

    Raises:
        UsageError: an epoch has no batch, or ``training`` names a metric that is not computed.
    """

    def __init__(
        self,
        ctx: RunContext,
        data: Data,
        numerics: Numerics,
        *,
        group: ProcessGroup | None = None,
        splits: Sequence[BatchSplit] = (),
    ) -> None:
        self.ctx, self.data, self.numerics, self.training = ctx, data, numerics, ctx.card.training
        self.group, self.splits = group or ProcessGroup(), splits
        self.steps_per_epoch = steps_per_epoch(len(data.train), self.training, processes=self.group.world)
        self.trainer = make_trainer(ctx, data, numerics, on_out_of_memory=self.on_out_of_memory, group=self.group)
        self.findings = Findings(notes=list(numerics.notes()))
        self.saver = Saver(ctx, self.trainer, origin_of(ctx, data, numerics, self.trainer), self.findings)
        elapsed = attempt_seconds(ctx)
        metered = max(metered_seconds(ctx.folder), elapsed)
        self.limits = RunLimits.of(ctx.card, attempt_seconds=elapsed, metered_seconds=metered)
        self.watch = Watch(ctx.stop, self.limits, self.group)
        began = time.monotonic() - elapsed
        self.signs = Signs(ctx, self.trainer, self.group, began=began)
        examples = trained_examples(len(data.train), self.training, processes=self.group.world)
        self.pace = Pace(self.training.epochs, examples, len(data.validation))
        spending = Spending.of(ctx.card, began=began, metered_seconds=metered)
        self.rows = RowWriter(ctx.history, ctx.attempt, examples, spending, self.pace, writes=self.group.leads)
        self.judge = Judge(ctx)
        self.pending: CardrunnerError | None = None
        self.stamped, self.waited = time.monotonic(), 0.0
        self.spoiled = False

    def run(self) -> None:
        """Train until the last epoch is done.

        Raises:
            RunStopped: a rule, the budget, the timeout or a request ended it. It is saved, as it is with
                RunPaused, RestartWanted, Interrupted or Terminated.
            IntegrityError: the checkpoints belong to another run, or every one is unusable.
            EnvironmentFailed: the disk failed, or one example does not fit into memory.
        """
        self.resume()
        self.score_baselines()
        while self.trainer.cursor.epoch <= self.training.epochs:
            began = time.monotonic() if self.trainer.cursor.position == 0 else None
            self.train_epoch()
            self.end_epoch(self.validate(began))
        self.record()

    def resume(self) -> None:
        """Take up the newest checkpoint; a verdict that a crash kept from ending the run ends it now."""
        entry = self.saver.resume(steps_per_epoch=self.steps_per_epoch)
        self.adopt_splits()
        self.rows.start(self.trainer.cursor)
        self.signs.start()
        self.stamped = time.monotonic()
        if entry is None:
            return
        self.ctx.progress.note(f"going on from {entry.file}, step {entry.step}")
        ending = self._judge_again() or self._unacknowledged() if self.group.leads else None
        self.end(self.agreed(ending))
        self.findings.stopped = None

    def _judge_again(self) -> CardrunnerError | None:
        cursor = self.trainer.cursor
        return self.judge.resume(cursor.step, at_validation=cursor.position == 0)

    def score_baselines(self) -> None:
        """Score the trivial baselines, once in a run; the training's random numbers stay untouched."""
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
        """Train the rest of the epoch; between steps log, save and leave as asked."""
        cursor, training = self.trainer.cursor, self.training
        self.watch.restart()
        together = training.batch_size * self.group.world
        left = batches_of(self.trainer.examples - cursor.position, together, drop_last=training.drop_last)
        steps = -(-left // training.gradient_accumulation)
        with self.ctx.progress.task(f"epoch {cursor.epoch}/{training.epochs}", steps, unit="step") as task:
            shown, shown_at = 0, time.monotonic()
            for done, _ in enumerate(self.trainer.epoch(), start=1):
                self.after_step()
                if self.spoiled:
                    break
                if time.monotonic() - shown_at > _SHOWN_SECONDS:
                    task.advance(done - shown, info=self.rows.newest.clock.outlook() if self.rows.newest else "")
                    shown, shown_at = done, time.monotonic()

    def after_step(self) -> None:
        """Do whatever is due between two steps."""
        self.signs.after_step()
        training, step = self.training, self.trainer.cursor.step
        self.pace.step(self.trainer.cursor)
        asked = self.watch.poll(
            log=due_by_clock(training.log_every, since=self.rows.logged_at),
            save=due_by_clock(training.checkpoint_every, since=self.saver.saved_at),
        )
        if asked.log or due_by_count(training.log_every, step=step):
            self.end_saved(self.log())
        if self.spoiled:
            return
        # the end of an epoch is saved together with its validation
        if not self.trainer.epoch_is_over and (asked.save or due_by_count(training.checkpoint_every, step=step)):
            self.stamp()  # the state holds the seconds so far, which a resume continues
            self.saver.save_state()
        self.leave(asked)

    def log(self) -> CardrunnerError | None:
        """Write and judge a row over the steps since the last row; return how the run has to end, or None.

        Non-finite weights are noticed here, before the rest of the epoch is paid for.
        """
        figures = self.trainer.window_meter.figures()
        self.trainer.window_meter.reset()
        row = self.rows.write("train", self.trainer.cursor, figures, wait_seconds=self.trainer.feed.wait_seconds)
        finite = math.isfinite(row.metrics[self.trainer.objective.names[0]])
        self.spoiled = not finite and not all_finite(self.trainer.model)
        return self.judged(row, loss_finite=finite, weights_finite=not self.spoiled)

    def validate(self, began: float | None) -> HistoryRow:
        """Score the model and write the row of the epoch that began then; None where another attempt began it."""
        with self.ctx.progress.task("validation", len(self.data.validation), unit="example") as task:
            measured = self.evaluation(task.advance).model(self.trainer.model).prefixed("val_")
        if self.training.log_every.unit == "epoch" and self.trainer.cursor.epoch % self.training.log_every.value == 0:
            self.pending = self.log()
        trained, wait = self.trainer.epoch_meter.figures(), self.trainer.feed.wait_seconds
        figures = Figures({**trained.weighted, **measured.weighted}, {**trained.per_batch, **measured.per_batch})
        seconds = None if began is None else time.monotonic() - began
        row = self.rows.write("validation", self.trainer.cursor, figures, wait_seconds=wait, epoch_seconds=seconds)
        if self.group.leads:
            self.ctx.progress.note(row.headline(self.training.epochs))
        return row

    def end_epoch(self, row: HistoryRow) -> None:
        """Judge, save and record; then end the run if something asks for it."""
        finite, loss = all_finite(self.trainer.model), row.metrics[f"val_{self.trainer.objective.names[0]}"]
        verdict = self.judged(row, loss_finite=math.isfinite(loss), weights_finite=finite)
        ending = self.pending or verdict or self._not_finite(row, finite=finite)
        self.stamp()
        if finite:  # a non-finite state would only displace good ones
            self.saver.save_epoch(row, ending=ending is not None)
        self.end(ending)
        self.record()

    def evaluation(self, on_batch: Callable[[int], None] | None = None) -> Evaluation:
        """Scoring on the validation data; leaves as asked after any batch."""
        self.watch.restart()

        def between_batches(examples: int) -> None:
            if on_batch is not None:
                on_batch(examples)
            self.signs.beat()
            self.leave(self.watch.poll())

        return Evaluation(
            self.data.validation,
            self.trainer.objective,
            self.numerics,
            batch_size=self.training.batch_size,
            workers=self.training.workers,
            block_bytes=self.trainer.feed.block_bytes,
            on_batch=between_batches,
            group=self.group,
        )

    def leave(self, asked: Asked) -> None:
        """Save and leave if asked to, or if time or money has run out."""
        if self.group.leads and (asked.reason is not None or asked.over):
            with contextlib.suppress(EnvironmentFailed):  # the ledger line is for watchers; saving goes on without it
                self.ctx.ledger.append(Leaving(attempt=self.ctx.attempt, reason=asked.reason or "limit"))
        if asked.reason is not None:
            self.save()
            self.ctx.stop.request(asked.reason)
            self.ctx.stop.raise_if_requested()
        elif asked.over:
            self.save()
            raise self.limits.reached() or Followed("time or money has run out")

    def judged(self, row: HistoryRow, *, loss_finite: bool, weights_finite: bool) -> CardrunnerError | None:
        """Judge a row that was just written by the card's rules, in every process."""
        happened = {"non_finite_loss": loss_finite, "non_finite_weights": weights_finite}
        events = [event for event, fine in happened.items() if not fine]
        return self.agreed(self.judge.row(row, events=events) if self.group.leads else None)

    def agreed(self, ending: CardrunnerError | None) -> CardrunnerError | None:
        """The leader's ending, in every process."""
        self._note_stop(ending)
        ends = self.group.share(ending is not None)
        return ending if self.group.leads else Followed("the leader ends the run") if ends else None

    def _note_stop(self, ending: CardrunnerError | None) -> None:
        """Keep with the state why the run was ended, so that a resume asks, whatever the ledger says by then."""
        if isinstance(ending, RunStopped | RunPaused):
            self.findings.stopped = str(ending)
            self.findings.acknowledgements = len(self.ctx.ledger.events(Acknowledged))

    def _unacknowledged(self) -> RunStopped | None:
        """What ended the run with the state that it goes on from, if that has not been acknowledged since."""
        stopped, known = self.findings.stopped, self.findings.acknowledgements
        if stopped is None or len(self.ctx.ledger.events(Acknowledged)) > known:
            return None
        command = f'; `cardrunner resume {self.ctx.folder.name} {ACKNOWLEDGE} "why it may go on"` goes on all the same'
        told = "" if ACKNOWLEDGE in stopped else command
        return RunStopped(f"according to its saved state, the run was {stopped}{told}")

    def on_out_of_memory(self, error: BaseException) -> None:
        """Restart if a rule says so; otherwise let the batch be split."""
        cursor, reason = self.trainer.cursor, str(error).split("\n")[0]
        failed = BatchSplit(step=cursor.step + 1, pieces=cursor.pieces)
        progress, seconds = cursor.epoch - 1 + cursor.position / self.trainer.examples, cursor.train_seconds
        if self.group.world > 1:
            where = {"epoch": cursor.epoch, "step": failed.step, "pieces": failed.pieces}
            raise GroupOutOfMemory(reason, **where, progress=progress, seconds=seconds)
        at = Row("event", cursor.epoch, failed.step, progress, seconds)
        self.end_saved(self.agreed(self.judge.event("out_of_memory", at, can_go_on=True)))
        split = halved(failed, self.training, reason)
        self.findings.splits.append(split)
        self.ctx.ledger.append(WarningGiven(attempt=self.ctx.attempt, message=split_sentence(split)))

    def adopt_splits(self) -> None:
        """Adopt the splits of processes that ran out of memory in this attempt."""
        new = [split for split in self.splits if split not in self.findings.splits]
        self.findings.splits.extend(new)
        self.trainer.cursor.pieces = max([self.trainer.cursor.pieces, *(split.pieces for split in new)])

    def end(self, ending: CardrunnerError | None) -> None:
        """Raise the given ending, if any; everything is saved already."""
        if ending is not None:
            self.record()
            raise ending

    def end_saved(self, ending: CardrunnerError | None) -> None:
        """Save and raise the given ending, if any, between two steps."""
        if ending is not None:
            self.save()
            raise ending

    def save(self) -> None:
        """Save the full state and the record."""
        self.stamp()
        self.saver.save_state()
        self.record()

    def stamp(self) -> None:
        """Add the time since the last stamp to the run's total."""
        now, wait = time.monotonic(), self.trainer.feed.wait_seconds
        self.findings.seconds += now - self.stamped
        self.findings.wait_seconds += wait - self.waited
        self.stamped, self.waited = now, wait

    def record(self) -> None:
        """Write ``stages/train.json``."""
        self.stamp()
        if not self.group.leads:
            return
        cursor, found, training = self.trainer.cursor, self.findings, self.training
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
            processes=self.group.world,
            batch_size=training.batch_size,
            effective_batch=training.batch_size * self.group.world * training.gradient_accumulation,
            splits=tuple(found.splits),
            seconds=found.seconds,
            train_seconds=cursor.train_seconds,
            wait_seconds=found.wait_seconds,
            best=found.best,
            baselines=found.baselines,
            weights_sha256=found.weights_sha256,
            notes=(*found.notes, *self.trainer.notes, *map(split_sentence, found.splits)),
        )
        write_record(self.ctx.folder.record("train"), record)

    def _not_finite(self, row: HistoryRow, *, finite: bool) -> RunStopped | None:
        if finite and math.isfinite(row.metrics[f"val_{self.trainer.objective.names[0]}"]):
            return None
        what = "the validation loss is" if finite else "the weights are"
        where = f"at step {row.step} in epoch {row.epoch}"
        return RunStopped(
            f"{what} not finite {where} and no kill threshold ended the run; "
            "lower training.learning_rate or check the data"
        )
