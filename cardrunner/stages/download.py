"""download: a verified copy of a checkpoint to where the card says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, Literal

from cardrunner.runs.context import RunContext
from cardrunner.runs.events import NoteLeft
from cardrunner.runs.records import DownloadRecord, write_record
from cardrunner.stages.verified import copy_verified, manifest_entry


@dataclass(frozen=True)
class DownloadStage:
    """Leaves ``stages/download.json``; a card without a download leaves a note."""

    name: ClassVar[str] = "download"
    side: ClassVar[Literal["launcher"]] = "launcher"

    def run(self, ctx: RunContext) -> None:
        """Copy what the card names.

        Raises:
            IntegrityError: the checkpoint is not what the manifest says.
            EnvironmentFailed: the copy cannot be written.
            UsageError: the target leaves the workspace.
        """
        wanted = ctx.card.after_training.download
        if wanted is None:
            ctx.ledger.append(NoteLeft(message="the card asks for no download"))
            return
        fetch(ctx, checkpoint=f"{wanted.checkpoint}.pt", to=wanted.to)


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
    copy_verified(ctx.folder.root / entry.source, entry, target, ctx.progress)
    record = DownloadRecord(
        checkpoint=checkpoint,
        source=checkpoint,
        to=to,
        bytes=target.stat().st_size,
        sha256=entry.sha256,
        seconds=time.monotonic() - began,
    )
    write_record(ctx.folder.record("download"), record)
    return record


STAGE = DownloadStage()
