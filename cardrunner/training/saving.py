"""Saving and restoring a training."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cardrunner.common.units import Every
from cardrunner.contracts import ExportsFields, MetricNames, RunContext
from cardrunner.errors import IntegrityError, UsageError
from cardrunner.runs.events import Acknowledged, AttemptEnded, CheckpointSaved, Resumed, WarningGiven
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.lines import examine_lines
from cardrunner.runs.records import STATE, BestRecord, Manifest, ManifestEntry
from cardrunner.training.checkpoint import CheckpointSnapshot, CheckpointStore, export_file, read_checkpoint, state_file
from cardrunner.training.loop import Trainer
from cardrunner.training.state import Findings, StateOrigin, all_finite, capture, on_cpu, restore, weights_sha256


class Saver:
    """Saves a trainer and what was found, and restores both.

    Args:
        ctx: the attempt.
        trainer: what is saved.
        origin: what the states belong to.
        findings: kept up to date here as far as checkpoints are concerned.

    Raises:
        UsageError: ``training.select`` or ``training.keep_best`` names a metric that is not computed.
    """

    def __init__(self, ctx: RunContext, trainer: Trainer, origin: StateOrigin, findings: Findings) -> None:
        self.ctx, self.trainer, self.origin, self.findings = ctx, trainer, origin, findings
        self.store = CheckpointStore(ctx.folder, keep=ctx.card.training.keep)
        self.selected = _computed(ctx, ctx.card.training.select.metric, trainer.objective.names, at="select.metric")
        self.keeps = [
            _computed(ctx, name, trainer.objective.names, at="keep_best") for name in ctx.card.training.keep_best
        ]
        self.saved_at = time.monotonic()
        self._saved: tuple[int, int] | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes."""
        return self.trainer.group.leads

    def resume(self, *, steps_per_epoch: int) -> ManifestEntry | None:
        """Continue from the newest valid checkpoint; rows that will be trained again are removed from the history.

        Returns:
            the checkpoint, or None for a new run.

        Raises:
            IntegrityError: it belongs to another run, card, data or code, unacknowledged; or every one is unusable.
        """
        if (found := self._newest()) is None:
            if self.leads:
                self._cut_history(0)
            return None
        entry, state = found
        differences = self._check_origin(entry, state) if self.leads else []
        try:
            restore(self.trainer, state, steps_per_epoch=steps_per_epoch)
        except IntegrityError as error:
            raise IntegrityError(f"{entry.file}: {error}") from None
        vars(self.findings).update(vars(Findings.from_dict(state["findings"])))
        self.findings.notes.extend(differences)
        if self.leads:
            self._take_up(entry)
        self._saved = (self.trainer.cursor.step, self.trainer.cursor.epoch)
        return entry

    def save_state(self) -> None:
        """Save the full state, unless it is saved already or its weights are spoiled."""
        cursor = self.trainer.cursor
        if self._saved == (cursor.step, cursor.epoch):
            return
        if all_finite(self.trainer.model):
            self._save([self._state(weights_sha256(self.trainer.model.state_dict()))])
        else:
            self._warn(f"the state at step {cursor.step} was not saved because its weights are not finite")

    def save_epoch(self, row: HistoryRow, *, ending: bool) -> None:
        """Save the result of a validation and move on to the next epoch.

        The full state is saved with it if the card says so, and at the end of the run.
        """
        digest = weights_sha256(self.trainer.model.state_dict())
        export = self._export(row, digest)
        self.trainer.finish_epoch()
        cursor, every = self.trainer.cursor, self.ctx.card.training.checkpoint_every
        last = ending or cursor.epoch > self.ctx.card.training.epochs
        by_clock = self.trainer.group.share(due_by_clock(every, since=self.saved_at))
        states = last or by_clock or due_by_count(every, step=cursor.step, epoch=row.epoch)
        self._save([export, self._state(digest)] if states else [export])

    def _export(self, row: HistoryRow, digest: str) -> CheckpointSnapshot:
        """The new ``latest.pt``, and ``best`` files for every metric that this epoch improved."""
        findings, training = self.findings, self.ctx.card.training
        findings.metrics, findings.validations = dict(row.metrics), len(self.ctx.history.validations())
        findings.weights_sha256 = digest
        names = {self.ctx.folder.latest.name: "latest"}
        if (best := new_best(findings.best, row, self.selected, training.select.mode)) is not None:
            findings.best = best
            names[self.ctx.folder.best.name] = "best"
        for metric in self.keeps:
            mode = self._direction(metric)
            if (best := new_best(findings.best_of.get(metric), row, metric, mode)) is not None:
                findings.best_of[metric] = best
                names[best_file(metric)] = f"best {metric}"
        file = export_file(epoch=row.epoch, step=row.step)
        return self._snapshot(file, self._weights(row), digest, epoch=row.epoch, names=names)

    def _direction(self, metric: str) -> Literal["min", "max"]:
        spec = MetricNames(self.ctx.workload.spec.metrics).spec(metric)
        return spec.direction if spec else "min"

    def _weights(self, row: HistoryRow) -> dict[str, Any]:
        """The existing checkpoint format (epochs from 0), with one additional key, ``cardrunner``."""
        own = {"run": self.origin.run, "card_digest": self.origin.card_digest, "data": self.origin.data}
        workload = self.ctx.workload
        fields = workload.export_fields(self.ctx.card) if isinstance(workload, ExportsFields) else {}
        return {
            **fields,
            "epoch": row.epoch - 1,
            "model_state_dict": on_cpu(self.trainer.model.state_dict()),
            "optimizer_state_dict": on_cpu(self.trainer.optimizer.state_dict()),
            "val_loss": row.per_batch[f"val_{self.trainer.objective.names[0]}"],
            "config": dict(self.ctx.workload.export_config(self.ctx.card)),
            "cardrunner": {**own, "step": row.step, "metrics": row.metrics, "per_batch": row.per_batch},
        }

    def _state(self, digest: str) -> CheckpointSnapshot:
        cursor = self.trainer.cursor
        content = capture(self.trainer, self.origin, self.findings)
        name = state_file(epoch=cursor.epoch_reached, step=cursor.step)
        return self._snapshot(name, content, digest, epoch=cursor.epoch_reached)

    def _snapshot(
        self, file: str, content: Mapping[str, Any], digest: str, *, epoch: int, names: Mapping[str, str] | None = None
    ) -> CheckpointSnapshot:
        return CheckpointSnapshot(
            file=file,
            content=content,
            names=names or {},
            epoch=epoch,
            step=self.trainer.cursor.step,
            weights_sha256=digest,
            metrics=self.findings.metrics,
        )

    def _save(self, snapshots: Sequence[CheckpointSnapshot]) -> None:
        began, cursor = time.monotonic(), self.trainer.cursor
        if self.leads:
            manifest = self.store.save(snapshots)
            self._record(snapshots, manifest, time.monotonic() - began)
        if any(not shot.names for shot in snapshots):
            self._saved, self.saved_at = (cursor.step, cursor.epoch), time.monotonic()

    def _record(self, snapshots: Sequence[CheckpointSnapshot], manifest: Manifest, seconds: float) -> None:
        for shot in snapshots:
            saved = CheckpointSaved(
                attempt=self.ctx.attempt,
                file=shot.file,
                epoch=shot.epoch,
                step=shot.step,
                roles=tuple(shot.names.values()) or (STATE,),
                seconds=round(seconds, 6),
                saves=manifest.saves,
                history=manifest.history,
            )
            self.ctx.ledger.append(saved)

    def _newest(self) -> tuple[ManifestEntry, Mapping[str, Any]] | None:
        """The state that the leader found good, in every process."""
        found = None
        if self.leads:
            self.store.prepare()
            found = self.store.newest(self._warn)
        entry = self.trainer.group.share(found[0] if found else None)
        if self.leads or entry is None:
            return found
        return entry, read_checkpoint(self.ctx.folder, entry)

    def _take_up(self, entry: ManifestEntry) -> None:
        self._cut_history(entry.step)
        self._check_history(entry)
        resumed = Resumed(attempt=self.ctx.attempt, file=entry.file, epoch=entry.epoch, step=entry.step)
        self.ctx.ledger.append(resumed)

    def _cut_history(self, step: int) -> None:
        """Drop the rows beyond a step.

        Raises:
            IntegrityError: lines of the history are missing, or not what was written.
        """
        grave = [damage for damage in examine_lines(self.ctx.folder.history).damage if damage.grave]
        if grave:
            raise IntegrityError(f"{self.ctx.folder.history}: {grave[0].what}; put the run's own history back")
        attempt = self.ctx.attempt
        self.ctx.history.truncate_after(
            step, note=lambda cut: self.ctx.ledger.append(cut.model_copy(update={"attempt": attempt}))
        )

    def _check_origin(self, entry: ManifestEntry, state: Mapping[str, Any]) -> list[str]:
        """Notes on what differs and was acknowledged."""
        differences = "; ".join(self.origin.differences(state.get("origin", {})))
        if not differences:
            return []
        if not acknowledged(self.ctx):
            command = f"`cardrunner resume {self.ctx.folder.name} --acknowledge TEXT`"
            raise IntegrityError(f"{entry.file} belongs to something else: {differences}; {command} continues anyway")
        self._warn(f"{entry.file} belongs to something else: {differences}; acknowledged")
        return [f"continued from {entry.file} although {differences}"]

    def _check_history(self, entry: ManifestEntry) -> None:
        found, expected = len(self.ctx.history.validations()), self.findings.validations
        if found < expected:
            raise IntegrityError(
                f"{self.ctx.folder.history} has {found} validations up to step {entry.step}, but {entry.file} saw "
                f"{expected}: rows were lost, put them back"
            )

    def _warn(self, message: str) -> None:
        if not self.leads:
            return
        self.ctx.ledger.append(WarningGiven(attempt=self.ctx.attempt, message=message))
        self.ctx.progress.note(f"warning: {message}")


def due_by_count(every: Every, *, step: int, epoch: int | None = None) -> bool:
    """Whether something that recurs after a number of steps or epochs is due.

    Args:
        step: the global step that was just done.
        epoch: the epoch that was just validated; None in the middle of one.
    """
    count = {"step": step, "epoch": epoch}.get(every.unit)
    return count is not None and count % every.value == 0


def due_by_clock(every: Every, *, since: float) -> bool:
    """Whether something that recurs after a number of seconds is due.

    Args:
        since: when it last happened, on the clock of `time.monotonic`.
    """
    return every.unit == "second" and time.monotonic() - since >= every.value


def best_file(metric: str) -> str:
    """The name of the best weights by a metric, such as ``best-val_metric-accuracy.pt``."""
    return f"best-{re.sub(r'[^A-Za-z0-9_]+', '-', metric)}.pt"


def acknowledged(ctx: RunContext) -> bool:
    """Whether this resume was acknowledged, since the last attempt ended, as continuing something else."""
    return isinstance(ctx.ledger.last(Acknowledged, AttemptEnded), Acknowledged)


def new_best(best: BestRecord | None, row: HistoryRow, metric: str, mode: Literal["min", "max"]) -> BestRecord | None:
    """The row as the new best by a metric; None if an earlier one is as good. A NaN never wins."""
    value, sign = row.metrics[metric], -1 if mode == "min" else 1
    if math.isfinite(value) and (best is None or sign * value > sign * best.value):
        return BestRecord(metric=metric, mode=mode, value=value, epoch=row.epoch, step=row.step)
    return None


def _computed(ctx: RunContext, written: str, names: Sequence[str], *, at: str) -> str:
    """The metric that a field of `training` names."""
    metric = MetricNames(ctx.workload.spec.metrics).canonical(written)
    known = [f"val_{name}" for name in names]
    if metric not in (*names, *known):
        raise UsageError(
            f"training.{at}: {written} is not computed by {ctx.workload.spec.name}; it has {', '.join(known)}"
        )
    return metric
