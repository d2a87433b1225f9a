"""train: the model is trained and validated, epoch by epoch, from wherever the newest checkpoint left off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cardrunner.card.schema.card import Card
from cardrunner.contracts import Side
from cardrunner.runs.context import RunContext
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import Manifest, ManifestEntry, TrainRecord, readable_record
from cardrunner.stages.base import BaseStage


@dataclass(frozen=True)
class TrainStage(BaseStage):
    """Leaves history, checkpoints, ``best.pt``, ``latest.pt`` and ``stages/train.json``."""

    name: ClassVar[str] = "train"
    side: ClassVar[Side] = "worker"
    record: ClassVar[type[TrainRecord]] = TrainRecord

    def run(self, ctx: RunContext) -> None:
        """Train; see `Session.run` for how it can end.

        Raises:
            UsageError: the card asks for something that this data or workload has not.
            EnvironmentFailed: a file, the device, memory or the disk failed, or a process died.
            IntegrityError: data or checkpoints are not what they should be.
        """
        from cardrunner.stages.processes import train  # it imports torch, which a results card does without

        train(ctx)

    def done(self, folder: RunFolder, card: Card) -> bool:  # noqa: ARG002
        """Whether all epochs are trained and the files of the manifest have their sizes, where the run lives here."""
        record = readable_record(folder.record(self.name), TrainRecord)
        manifest = readable_record(folder.manifest, Manifest)
        if record is None or manifest is None or record.epochs_done < record.epochs_planned:
            return False
        return folder.remote_run.exists() or all(_is_there(folder, entry) for entry in manifest.entries)


def _is_there(folder: RunFolder, entry: ManifestEntry) -> bool:
    paths = [folder.root / file for file in {entry.file, entry.source}]
    return all(path.is_file() and path.stat().st_size == entry.bytes for path in paths)


STAGE = TrainStage()
