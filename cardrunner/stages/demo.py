"""demo: the last look, by people."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from cardrunner.contracts import DemoResult
from cardrunner.runs.context import RunContext
from cardrunner.runs.events import NoteLeft
from cardrunner.runs.files import explained, write_durably
from cardrunner.runs.records import DataMatchRecord, DemoRecord, write_record
from cardrunner.stages.run_data import open_run_data
from cardrunner.stages.verified import verified_checkpoint


@dataclass(frozen=True)
class DemoStage:
    """Leaves ``demo/`` and ``stages/demo.json``; a card without a demo leaves a note."""

    name: ClassVar[str] = "demo"
    side: ClassVar[Literal["launcher"]] = "launcher"

    def run(self, ctx: RunContext) -> None:
        """Let the workload show what was trained.

        Raises:
            IntegrityError: the best checkpoint is not what the manifest says.
            EnvironmentFailed: the data is not here, or the demo cannot be written.
        """
        if ctx.card.after_training.demo is None:
            ctx.ledger.append(NoteLeft(message="the card asks for no demo"))
            return
        began = time.monotonic()
        result = _play(ctx)
        if result is None:
            ctx.ledger.append(NoteLeft(message=f"the workload {ctx.card.workload} has no demo"))
            return
        write_record(ctx.folder.record(self.name), _record(ctx, result, time.monotonic() - began))


def _play(ctx: RunContext) -> DemoResult | None:
    checkpoint = verified_checkpoint(ctx, ctx.folder.best.name)
    with explained(ctx.folder.demo, "write"):
        ctx.folder.demo.mkdir(exist_ok=True)
    return ctx.workload.demo(ctx.card, checkpoint, open_run_data(ctx), out=ctx.folder.demo, progress=ctx.progress)


def _record(ctx: RunContext, result: DemoResult, seconds: float) -> DemoRecord:
    files = tuple(path.relative_to(ctx.folder.root).as_posix() for path in result.files)
    match = result.data_match
    return DemoRecord(
        files=files,
        copied_to=copy_out(ctx, result.files),
        summary=dict(result.summary),
        data_match=DataMatchRecord(**match._asdict()) if match else None,
        exhibits=result.exhibits,
        seconds=seconds,
    )


def copy_out(ctx: RunContext, files: Sequence[Path]) -> str | None:
    """Put the demo's first file where the card wants a copy."""
    demo = ctx.card.after_training.demo
    if demo is None or demo.output is None or not files:
        return None
    target = ctx.workspace.inside(demo.output, field="after_training.demo.output")
    with explained(files[0], "read"), files[0].open("rb") as source:
        write_durably(target, lambda stream: shutil.copyfileobj(source, stream))
    return demo.output


STAGE = DemoStage()
