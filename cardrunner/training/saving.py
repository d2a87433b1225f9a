"""What is saved when, and taking it up again."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cardrunner.contracts import MetricNames
from cardrunner.errors import IntegrityError, UsageError
from cardrunner.runs.context import RunContext
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.records import BestRecord, ManifestEntry
from cardrunner.training.checkpoint import STATE, CheckpointStore, Snapshot, state_file
from cardrunner.training.loop import Trainer
from cardrunner.training.state import Findings, Origin, capture, restore
from cardrunner.training.weights import all_finite, on_cpu, weights_sha256
from cardrunner.units import Every


class Saver:
    """Saves a trainer and what was found, and restores both.

    Args:
        ctx: the attempt.
        trainer: what is saved.
        origin: what the states belong to.
        findings: kept up to date here as far as checkpoints are concerned.

    Raises:
        UsageError: ``training.select`` names a metric that nobody computes.
    """

    def __init__(self, ctx: RunContext, trainer: Trainer, origin: Origin, findings: Findings) -> None:
        self.ctx, self.trainer, self.origin, self.findings = ctx, trainer, origin, findings
        self.store = CheckpointStore(ctx.folder, keep=ctx.card.training.keep)
        self.selected = _selected_metric(ctx, trainer.objective.names)
        self._saved_at = time.monotonic()
        self._saved: tuple[int, int] | None = None

    def resume(self, *, steps_per_epoch: int) -> ManifestEntry | None:
        """Go on from the newest valid checkpoint; the history loses the rows that are trained again.

        Returns:
            the checkpoint, or None when the run begins.

        Raises:
            IntegrityError: it belongs to another run, card, data or code and nobody acknowledged it; or none is usable.
        """
        self.store.prepare()
        found = self.store.newest(self._warn)
        if found is None:
            self.ctx.history.truncate_after(0)
            return None
        entry, state = found
        differences = self._check_origin(entry, state)
        try:
            restore(self.trainer, state, steps_per_epoch=steps_per_epoch)
        except IntegrityError as error:
            raise IntegrityError(f"{entry.file}: {error}") from None
        vars(self.findings).update(vars(Findings.from_dict(state["findings"])))
        self.findings.notes.extend(differences)
        self.ctx.history.truncate_after(entry.step)
        self._check_history(entry)
        self._saved = (self.trainer.cursor.step, self.trainer.cursor.epoch)
        return entry

    def save_if_due(self) -> None:
        """Save in the middle of an epoch, where the card says so."""
        if due(self.ctx.card.training.checkpoint_every, step=self.trainer.cursor.step, since=self._saved_at):
            self.save_state()

    def save_state(self) -> None:
        """Save the full state, unless it is saved already or its weights are spoiled."""
        cursor = self.trainer.cursor
        if self._saved == (cursor.step, cursor.epoch):
            return
        if all_finite(self.trainer.model):
            self._save([self._state()])
        else:
            self._warn(f"the state at step {cursor.step} was not saved because its weights are not finite")

    def save_epoch(self, row: HistoryRow, *, ending: bool) -> None:
        """Save what a validation has shown and move on to the next epoch.

        The full state is saved with it where the card says so, and where the run ends.
        """
        exports = self._exports(row)
        self.trainer.finish_epoch()
        cursor, training = self.trainer.cursor, self.ctx.card.training
        last = ending or cursor.epoch > training.epochs
        states = last or due(training.checkpoint_every, step=cursor.step, epoch=row.epoch, since=self._saved_at)
        self._save([*exports, self._state()] if states else exports)

    def _exports(self, row: HistoryRow) -> list[Snapshot]:
        """``latest.pt``, and ``best.pt`` when no epoch before was better."""
        findings, value = self.findings, row.metrics[self.selected]
        findings.metrics, findings.validations = dict(row.metrics), len(self.ctx.history.validations())
        findings.weights_sha256 = weights_sha256(self.trainer.model.state_dict())
        files = [("latest", self.ctx.folder.latest.name)]
        if self._improves(value):
            mode = self.ctx.card.training.select.mode
            findings.best = BestRecord(metric=self.selected, mode=mode, value=value, epoch=row.epoch, step=row.step)
            files.append(("best", self.ctx.folder.best.name))
        content = self._export(row)
        return [self._snapshot(name, content, role, epoch=row.epoch) for role, name in files]

    def _improves(self, value: float) -> bool:
        """A NaN never wins."""
        best, sign = self.findings.best, -1 if self.ctx.card.training.select.mode == "min" else 1
        return math.isfinite(value) and (best is None or sign * value > sign * best.value)

    def _export(self, row: HistoryRow) -> dict[str, Any]:
        """The existing checkpoint format (epochs from 0), with one key of our own."""
        own = {"run": self.origin.run, "card_digest": self.origin.card_digest, "data": self.origin.data}
        return {
            "epoch": row.epoch - 1,
            "model_state_dict": on_cpu(self.trainer.model.state_dict()),
            "optimizer_state_dict": on_cpu(self.trainer.optimizer.state_dict()),
            "val_loss": row.per_batch[f"val_{self.trainer.objective.names[0]}"],
            "config": dict(self.ctx.workload.export_config(self.ctx.card)),
            "cardrunner": {**own, "step": row.step, "metrics": row.metrics, "per_batch": row.per_batch},
        }

    def _state(self) -> Snapshot:
        cursor = self.trainer.cursor
        content = capture(self.trainer, self.origin, self.findings)
        name = state_file(epoch=cursor.epoch_reached, step=cursor.step)
        return self._snapshot(name, content, STATE, epoch=cursor.epoch_reached)

    def _snapshot(self, file: str, content: Mapping[str, Any], role: str, *, epoch: int) -> Snapshot:
        return Snapshot(
            file=file,
            content=content,
            roles=(role,),
            epoch=epoch,
            step=self.trainer.cursor.step,
            weights_sha256=weights_sha256(self.trainer.model.state_dict()),
            metrics=self.findings.metrics,
        )

    def _save(self, snapshots: Sequence[Snapshot]) -> None:
        began = time.monotonic()
        self.store.save(snapshots)
        seconds = time.monotonic() - began
        for shot in snapshots:
            fields = {"file": shot.file, "epoch": shot.epoch, "step": shot.step, "roles": list(shot.roles)}
            self.ctx.ledger.append("checkpoint_saved", attempt=self.ctx.attempt, **fields, seconds=seconds)
            if STATE in shot.roles:
                self._saved, self._saved_at = (self.trainer.cursor.step, self.trainer.cursor.epoch), time.monotonic()

    def _check_origin(self, entry: ManifestEntry, state: Mapping[str, Any]) -> list[str]:
        """Notes on what differs and was acknowledged."""
        differences = "; ".join(self.origin.differences(state.get("origin", {})))
        if not differences:
            return []
        if not acknowledged(self.ctx):
            command = f"`cardrunner resume {self.ctx.folder.name} --acknowledge TEXT`"
            raise IntegrityError(
                f"{entry.file} belongs to something else: {differences}; {command} goes on all the same"
            )
        self._warn(f"{entry.file} belongs to something else: {differences}; acknowledged")
        return [f"went on from {entry.file} although {differences}"]

    def _check_history(self, entry: ManifestEntry) -> None:
        found, expected = len(self.ctx.history.validations()), self.findings.validations
        if found < expected:
            raise IntegrityError(
                f"{self.ctx.folder.history} has {found} validations up to step {entry.step}, but {entry.file} saw "
                f"{expected}: rows were lost, put them back"
            )

    def _warn(self, message: str) -> None:
        self.ctx.ledger.append("warning", attempt=self.ctx.attempt, message=message)
        self.ctx.progress.note(f"warning: {message}")


def due(every: Every, *, step: int, epoch: int | None = None, since: float) -> bool:
    """Whether something that happens every so often happens now.

    Args:
        step: the global step that was just done.
        epoch: the epoch that was just validated; None in the middle of one.
        since: when it happened last, on the clock of `time.monotonic`.
    """
    if every.unit == "second":
        return time.monotonic() - since >= every.value
    count = step if every.unit == "step" else epoch
    return count is not None and count % every.value == 0


def acknowledged(ctx: RunContext) -> bool:
    """Whether somebody has acknowledged, since the last attempt ended, that this resume continues something else."""
    last = ctx.ledger.last("acknowledged", "attempt_ended")
    return last is not None and last["event"] == "acknowledged"


def _selected_metric(ctx: RunContext, names: Sequence[str]) -> str:
    written = ctx.card.training.select.metric
    metric = MetricNames(ctx.workload.spec.metrics).canonical(written)
    known = [f"val_{name}" for name in names]
    if metric not in (*names, *known):
        raise UsageError(
            f"training.select.metric: {written} is not computed by {ctx.workload.spec.name}; it has {', '.join(known)}"
        )
    return metric
