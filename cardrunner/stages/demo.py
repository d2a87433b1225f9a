"""demo: the workload shows what was trained."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cardrunner.card.schema.card import Card
from cardrunner.contracts import DemoResult, RunContext, Side, runs_itself
from cardrunner.errors import UsageError
from cardrunner.runs.events import NoteLeft
from cardrunner.runs.files import explained, write_durably
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import launched_workspace
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import DataMatchRecord, DemoRecord, find_record, readable_record, write_record
from cardrunner.stages.base import BaseStage, made_file
from cardrunner.stages.run_data import open_run_data
from cardrunner.stages.verified import verified_checkpoint


@dataclass(frozen=True)
class DemoStage(BaseStage):
    """Writes ``demo/`` and ``stages/demo.json``; for a card without a demo, a note in the ledger."""

    name: ClassVar[str] = "demo"
    side: ClassVar[Side] = "launcher"
    record: ClassVar[type[DemoRecord]] = DemoRecord

    def run(self, ctx: RunContext) -> None:
        """Run the demo of the workload.

        Raises:
            IntegrityError: the best checkpoint differs from the manifest.
            EnvironmentFailed: the data is missing, or the demo cannot be written.
        """
        if ctx.card.after_training.demo is None:
            ctx.ledger.append(NoteLeft(message=self.absence(ctx.card)))
            return
        began = time.monotonic()
        result = _play(ctx)
        if result is None:
            ctx.ledger.append(NoteLeft(message=_no_demo(ctx.card)))
            return
        write_record(ctx.folder.record(self.name), _record(ctx, result, time.monotonic() - began))

    def done(self, folder: RunFolder, card: Card) -> bool:
        """Whether its files and the copy in the workspace exist, or a note says that the workload has no demo."""
        if card.after_training.demo is None:
            return True
        if not folder.record(self.name).exists():
            return any(note.message == _no_demo(card) for note in Ledger(folder.ledger).events(NoteLeft))
        record = readable_record(folder.record(self.name), DemoRecord)
        return record is not None and _is_there(folder, record)

    def absence(self, card: Card) -> str | None:
        """What to say about a card without a demo."""
        return "the card asks for no demo" if card.after_training.demo is None else None

    def checkpoints(self, card: Card) -> Sequence[str]:
        """The best checkpoint, if there is a demo."""
        return () if card.after_training.demo is None else ("best.pt",)

    def needs_data(self, card: Card) -> bool:
        """Whether there is a demo: it starts from the run's data."""
        return card.after_training.demo is not None

    def reads(self, card: Card) -> Iterable[str]:
        """Every path that the card's demo may read."""
        demo = card.after_training.demo
        return () if demo is None else demo.reads

    def after_remote_run(self, ctx: RunContext) -> None:
        """Copy the first file to where the card says."""
        record = find_record(ctx.folder.record(self.name), DemoRecord)
        copy_out(ctx, [ctx.folder.root / file for file in (record.files if record else ())])


def _play(ctx: RunContext) -> DemoResult | None:
    if (itself := runs_itself(ctx.workload)) is not None:
        return itself.shown(ctx)
    checkpoint = verified_checkpoint(ctx, ctx.folder.best.name)
    with explained(ctx.folder.demo, "write"):
        ctx.folder.demo.mkdir(exist_ok=True)
    return ctx.workload.demo(ctx.card, checkpoint, open_run_data(ctx), out=ctx.folder.demo, progress=ctx.progress)


def _record(ctx: RunContext, result: DemoResult, seconds: float) -> DemoRecord:
    files = tuple(path.relative_to(ctx.folder.root).as_posix() for path in result.files)
    match = result.data_match
    return DemoRecord(
        files=files,
        made=tuple(made_file(ctx.folder, "demo", path) for path in result.files),
        copied_to=copy_out(ctx, result.files),
        summary=dict(result.summary),
        data_match=DataMatchRecord(**match._asdict()) if match else None,
        exhibits=result.exhibits,
        seconds=seconds,
    )


def _no_demo(card: Card) -> str:
    return f"the workload {card.workload} has no demo"


def _is_there(folder: RunFolder, record: DemoRecord) -> bool:
    try:
        copies = [record.copied_to] if record.copied_to else []
        copied = [launched_workspace(folder).inside(path, field="after_training.demo.output") for path in copies]
    except UsageError:
        return False
    return all(path.is_file() for path in (*(folder.root / file for file in record.files), *copied))


def copy_out(ctx: RunContext, files: Sequence[Path]) -> str | None:
    """Copy the demo's first file to where the card says; the path of the copy, None without one."""
    demo = ctx.card.after_training.demo
    if demo is None or demo.output is None or not files:
        return None
    target = ctx.workspace.inside(demo.output, field="after_training.demo.output")
    with explained(files[0], "read"), files[0].open("rb") as source:
        write_durably(target, lambda stream: shutil.copyfileobj(source, stream))
    return demo.output


STAGE = DemoStage()
