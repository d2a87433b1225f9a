"""download: a verified copy of a checkpoint to where the card says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cardrunner.card.schema.card import Card
from cardrunner.contracts import RunContext, Side
from cardrunner.errors import UsageError
from cardrunner.runs.copies import size_at
from cardrunner.runs.events import NoteLeft
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import launched_workspace
from cardrunner.runs.records import DownloadRecord, readable_record, write_record
from cardrunner.stages.base import BaseStage, is_whole
from cardrunner.stages.verified import copy_verified, manifest_entry


@dataclass(frozen=True)
class DownloadStage(BaseStage):
    """Writes ``stages/download.json``; for a card without a download, a note in the ledger."""

    name: ClassVar[str] = "download"
    side: ClassVar[Side] = "launcher"
    record: ClassVar[type[DownloadRecord]] = DownloadRecord

    def run(self, ctx: RunContext) -> None:
        """Copy the checkpoint that the card names.

        Raises:
            IntegrityError: the checkpoint differs from the manifest.
            EnvironmentFailed: the copy cannot be written.
            UsageError: the target leaves the workspace.
        """
        wanted = ctx.card.after_training.download
        if wanted is None:
            ctx.ledger.append(NoteLeft(message=self.absence(ctx.card)))
            return
        fetch(ctx, checkpoint=f"{wanted.checkpoint}.pt", to=wanted.to)

    def done(self, folder: RunFolder, card: Card) -> bool:
        """Whether the copy that the card names exists and is unchanged."""
        wanted = card.after_training.download
        if wanted is None:
            return True
        record = readable_record(folder.record(self.name), DownloadRecord)
        if record is None or (record.checkpoint, record.to) != (f"{wanted.checkpoint}.pt", wanted.to):
            return False  # the newest download was another one, made by command
        try:
            target = launched_workspace(folder).inside(record.to, field="after_training.download.to")
        except UsageError:
            return False
        return is_whole(target, record.sha256)

    def absence(self, card: Card) -> str | None:
        """What to say about a card without a download."""
        return "the card asks for no download" if card.after_training.download is None else None

    def checkpoints(self, card: Card) -> Sequence[str]:
        """The checkpoint that the card names."""
        wanted = card.after_training.download
        return () if wanted is None else (f"{wanted.checkpoint}.pt",)


def fetch(ctx: RunContext, *, checkpoint: str, to: str) -> DownloadRecord:
    """Copy one checkpoint and record it.

    Args:
        ctx: the run.
        checkpoint: its name in the manifest, such as ``best.pt``.
        to: the target, relative to the workspace.
    """
    began = time.monotonic()
    target = ctx.workspace.inside(to, field="after_training.download.to")
    entry = manifest_entry(ctx.folder, checkpoint)
    copy_verified(ctx.folder, entry, target, ctx.progress)
    record = DownloadRecord(
        checkpoint=checkpoint,
        source=entry.file,
        to=to,
        bytes=size_at(target),
        sha256=entry.whole_sha256,
        seconds=time.monotonic() - began,
    )
    write_record(ctx.folder.record(DownloadStage.name), record)
    return record


STAGE = DownloadStage()
