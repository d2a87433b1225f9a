"""Kept checkpoints in the manifest and the ledger, and which of them is the best one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cardrunner.contracts import MetricNames, RunContext, spec_for
from cardrunner.runs.events import CheckpointSaved
from cardrunner.runs.files import sha256_file
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.lines import anchor_of
from cardrunner.runs.records import BEST, STATE, BestRecord, Manifest, ManifestEntry, readable_record, write_record
from cardrunner.workloads.command.keeping import RECORD, Keeper, Kept, kept_in
from cardrunner.workloads.command.spec import training_of
from cardrunner.workloads.command.state import ScriptState


@dataclass
class Saves:
    """Follows the best reported value, and writes the manifest of what is kept.

    Args:
        ctx: the attempt.
        state: what is known of the script.
        keeper: keeps its checkpoints.
    """

    ctx: RunContext
    state: ScriptState
    keeper: Keeper

    def __post_init__(self) -> None:
        select = training_of(self.ctx.card).select
        names = MetricNames(spec_for(self.ctx.workload.spec, self.ctx.card).metrics)
        self._metric = names.canonical(select.metric) if select else None
        self._mode = select.mode if select else "min"
        self.rewind()

    def rewind(self) -> None:
        """Take the best value from the history as it is now, after rows of it were dropped."""
        best: BestRecord | None = None
        self._validations = self.ctx.history.validations()
        for row in self._validations:
            best = self._better(row, best) or best
        same = best is not None and best == self.state.record.best
        self._choose(best, self.state.record.best_sha256 if same else None)

    def row(self, row: HistoryRow) -> None:
        """Take note of a validation; the checkpoint that is kept next is that of the best one."""
        if row.kind != "validation":
            return
        self._validations.append(row)
        if (best := self._better(row, self.state.record.best)) is not None:
            self._choose(best, None)

    def kept(self, found: Kept) -> None:
        """Record a checkpoint that was just kept.

        Raises:
            EnvironmentFailed: the manifest cannot be written.
        """
        if self.state.record.best_sha256 is None:
            self._choose(self.state.record.best, None)
        manifest = self._written(new=1)
        saved = CheckpointSaved(
            attempt=self.ctx.attempt,
            file=self._name(_vouching(found)),
            epoch=self._validations[-1].epoch if self._validations else 0,
            step=step_of_kept(found),
            roles=(STATE,),
            saves=manifest.saves,
            history=manifest.history,
        )
        self.ctx.ledger.append(saved)

    def conclude(self) -> None:
        """Name the newest checkpoint the best one where none was kept after the best value, and write the manifest.

        Raises:
            EnvironmentFailed: the manifest cannot be written.
        """
        best, there = self.state.record.best, kept_in(self.ctx.folder.kept)
        if best is not None and self.state.record.best_sha256 is None and there:
            self._choose(best, there[0].record.sha256)
        self._written()

    def forget(self) -> None:
        """Forget everything that is kept, because the script begins anew."""
        self.state.update(best=None, best_sha256=None)
        manifest = readable_record(self.ctx.folder.manifest, Manifest) or Manifest()
        write_record(self.ctx.folder.manifest, manifest.model_copy(update={"entries": ()}))

    def entry_of(self, sha256: str) -> ManifestEntry | None:
        """The full state with this content: the bytes of a file, or of a folder's files."""
        manifest = readable_record(self.ctx.folder.manifest, Manifest) or Manifest()
        states = (entry for entry in manifest.entries if STATE in entry.roles and entry.weights_sha256 == sha256)
        return max(states, key=lambda entry: entry.step, default=None)

    def _better(self, row: HistoryRow, best: BestRecord | None) -> BestRecord | None:
        """The value of a row as the best one, if it is better than the best before."""
        if self._metric is None:
            return None
        value = row.metrics.get(self._metric, math.nan)
        sign = -1 if self._mode == "min" else 1
        if not math.isfinite(value) or (best is not None and sign * value <= sign * best.value):
            return None
        return BestRecord(metric=self._metric, mode=self._mode, value=value, epoch=row.epoch, step=row.step)

    def _choose(self, best: BestRecord | None, sha256: str | None) -> None:
        """Note the best value and its checkpoint, by default the first one that was kept at or after it."""
        if best is not None and sha256 is None:
            after = [kept for kept in kept_in(self.ctx.folder.kept) if step_of_kept(kept) >= best.step]
            sha256 = min(after, key=step_of_kept).record.sha256 if after else None
        self.state.update(best=best, best_sha256=sha256)
        self.keeper.pin([sha256] if sha256 else [])

    def _name(self, path: Path) -> str:
        return path.relative_to(self.ctx.folder.root).as_posix()

    def _written(self, *, new: int = 0) -> Manifest:
        folder = self.ctx.folder
        before = readable_record(folder.manifest, Manifest) or Manifest()
        known = {entry.file: entry for entry in before.entries}
        states = [known.get(self._name(_vouching(kept))) or self._entry(kept) for kept in kept_in(folder.kept)[::-1]]
        manifest = Manifest(
            entries=tuple(self._with_roles(states)),
            saves=before.saves + new,
            history=anchor_of(folder.history),
            ledger=anchor_of(folder.ledger),
        )
        folder.checkpoints.mkdir(exist_ok=True)
        write_record(folder.manifest, manifest)
        return manifest

    def _entry(self, found: Kept) -> ManifestEntry:
        file, content = _vouching(found), found.record.sha256
        whole = found.record.kind == "file"
        return ManifestEntry(
            file=self._name(file),
            sha256=content if whole else sha256_file(file),
            bytes=found.record.size if whole else file.stat().st_size,
            weights_sha256=content,
            epoch=0,
            step=step_of_kept(found),
            step_reported=found.record.step is None,
            content=None if whole else self._name(found.content),
        )

    def _with_roles(self, states: list[ManifestEntry]) -> Iterator[ManifestEntry]:
        """The states, the best one with the values of the best validation; a resumed script may save bytes again."""
        best, wanted = self.state.record.best, self.state.record.best_sha256
        chosen = next((entry for entry in reversed(states) if best and entry.weights_sha256 == wanted), None)
        for state in states:
            epoch = next((row.epoch for row in reversed(self._validations) if row.step <= state.step), 0)
            if best is None or state is not chosen:
                plain = {"epoch": epoch, "roles": (STATE,), "metrics": {}, "metrics_step": None}
                yield state.model_copy(update=plain)
                continue
            row = next((row for row in self._validations if row.step == best.step), None)
            elsewhere = best.step if best.step != state.step else None
            metrics = dict(row.metrics) if row is not None else {}
            own = {"epoch": epoch, "roles": (STATE, BEST), "metrics": metrics, "metrics_step": elsewhere}
            yield state.model_copy(update=own)


def _vouching(found: Kept) -> Path:
    """The file that stands in the manifest: the checkpoint, or for a folder the record with the digest of its files."""
    return found.content if found.record.kind == "file" else found.folder / RECORD


def step_of_kept(found: Kept) -> int:
    """The step of a kept checkpoint: as it says itself, else the newest that was reported when it was whole."""
    record = found.record
    return record.step if record.step is not None else record.reported_step or 0
