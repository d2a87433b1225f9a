"""train: train and validate the model, epoch by epoch, from the newest checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cardrunner.card.schema.card import Card
from cardrunner.contracts import RunContext, Side, runs_itself
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import Manifest, ManifestEntry, TrainRecord, readable_record
from cardrunner.stages.base import BaseStage


@dataclass(frozen=True)
class TrainStage(BaseStage):
    """Writes history, checkpoints, ``best.pt``, ``latest.pt`` and ``stages/train.json``."""

    name: ClassVar[str] = "train"
    side: ClassVar[Side] = "worker"
    record: ClassVar[type[TrainRecord]] = TrainRecord

    def run(self, ctx: RunContext) -> None:
        """Train the model; see `Session.run` for the ways it can end. A workload that runs itself does it instead.

        Raises:
            UsageError: the card asks for something that this data or workload lacks.
            EnvironmentFailed: a file, the device, memory or the disk failed, or a process died.
            IntegrityError: data or checkpoints differ from what was recorded.
        """
        if (itself := runs_itself(ctx.workload)) is not None:
            itself.train(ctx)
            return
        from cardrunner.stages.processes import train  # imports torch, which a results card must not need

        train(ctx)

    def done(self, folder: RunFolder, card: Card) -> bool:  # noqa: ARG002
        """Whether all epochs are trained and, for a local run, the files of the manifest have their sizes."""
        record = readable_record(folder.record(self.name), TrainRecord)
        manifest = readable_record(folder.manifest, Manifest)
        if record is None or manifest is None or not record.done:
            return False
        return folder.remote_run.exists() or all(_is_there(folder, entry) for entry in manifest.entries)


def _is_there(folder: RunFolder, entry: ManifestEntry) -> bool:
    paths = [folder.root / file for file in {entry.file, entry.source}]
    return all(path.is_file() and path.stat().st_size == entry.bytes for path in paths)


STAGE = TrainStage()
