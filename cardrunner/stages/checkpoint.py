"""checkpoint: reload the best weights into a fresh model and check that they validate as when they were saved."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from cardrunner.card.schema.card import Card
from cardrunner.contracts import RunContext, Side, runs_itself
from cardrunner.errors import IntegrityError
from cardrunner.runs.agreement import difference, largest_difference
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import CheckpointRecord, Manifest, TrainRecord, readable_record, write_record
from cardrunner.stages.base import BaseStage
from cardrunner.stages.verified import manifest_entry

TOLERANCE = 1e-5
"""The largest difference that counts as equal, relative to values above 1. On the same machine it is 0; other thread
counts or GPUs sum in another order, which moves float32 metrics by about 1e-7."""


@dataclass(frozen=True)
class CheckpointStage(BaseStage):
    """Writes ``stages/checkpoint.json``, even if the numbers disagree."""

    name: ClassVar[str] = "checkpoint"
    side: ClassVar[Side] = "worker"
    record: ClassVar[type[CheckpointRecord]] = CheckpointRecord

    def run(self, ctx: RunContext) -> None:
        """Reload and validate again.

        Raises:
            IntegrityError: there is no best checkpoint, it differs from the manifest, or it validates differently.
        """
        if (itself := runs_itself(ctx.workload)) is not None:
            if (found := itself.checked(ctx)) is not None:
                write_record(ctx.folder.record(self.name), found)
                _check_metrics(found, ctx.folder)
            return
        from cardrunner.stages.revalidation import revalidate  # imports torch, which a results card must not need

        began = time.monotonic()
        entry = manifest_entry(ctx.folder, ctx.folder.best.name)
        weights, measured = revalidate(ctx, entry.file)
        recorded = {name: value for name, value in entry.metrics.items() if name in measured}
        largest = largest_difference(recorded, measured)
        record = CheckpointRecord(
            file=entry.file,
            sha256=entry.sha256,
            weights_sha256=weights,
            epoch=entry.epoch,
            recorded=recorded,
            measured=measured,
            largest_difference=largest,
            tolerance=TOLERANCE,
            agrees=largest <= TOLERANCE and recorded.keys() == measured.keys(),
            seconds=time.monotonic() - began,
        )
        write_record(ctx.folder.record(self.name), record)
        _check(record, expected_weights=entry.weights_sha256, folder=ctx.folder)

    def done(self, folder: RunFolder, card: Card) -> bool:  # noqa: ARG002
        """Whether the best weights were validated again and agree."""
        record = readable_record(folder.record(self.name), CheckpointRecord)
        return _has_none(folder) if record is None else record.agrees


def _has_none(folder: RunFolder) -> bool:
    """Whether there is no best checkpoint to examine: that of a script whose card chooses none, or that kept none."""
    train, manifest = readable_record(folder.record("train"), TrainRecord), readable_record(folder.manifest, Manifest)
    best = manifest.find(folder.best.name) if manifest is not None else None
    return train is not None and train.reported and best is None


def _check(record: CheckpointRecord, *, expected_weights: str, folder: RunFolder) -> None:
    if record.weights_sha256 != expected_weights:
        raise IntegrityError(
            f"{folder.best}: its weights are {record.weights_sha256}, the manifest says {expected_weights}"
        )
    _check_metrics(record, folder)


def _check_metrics(record: CheckpointRecord, folder: RunFolder) -> None:
    if not record.agrees:
        if record.recorded.keys() != record.measured.keys():
            absent = ", ".join(sorted(record.recorded.keys() ^ record.measured.keys()))
            raise IntegrityError(f"{folder.root / record.file} was not validated by the same metrics: {absent}")
        worst = max(record.recorded, key=lambda name: difference(record.recorded[name], record.measured[name]))
        numbers = f"{worst} was {record.recorded[worst]:.8g} in training and is {record.measured[worst]:.8g} now"
        raise IntegrityError(
            f"{folder.root / record.file} does not validate as it did: {numbers} (tolerance {record.tolerance:g}); "
            "the data or the code has changed"
        )


STAGE = CheckpointStage()
