"""The half of the workload `command` that runs: it starts the script instead of training itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from cardrunner.card.schema.card import Card
from cardrunner.contracts import DemoResult, Fact, Progress, RunContext, TrialResult, WorkloadSpec
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.records import CheckpointRecord, KeptCode, readable_record
from cardrunner.workloads.command.attempt import Attempt
from cardrunner.workloads.command.best import best_kept
from cardrunner.workloads.command.code_copy import code_folder, program
from cardrunner.workloads.command.evaluating import evaluated
from cardrunner.workloads.command.examining import examined
from cardrunner.workloads.command.preflight import preflight_facts
from cardrunner.workloads.command.process import end_leftovers
from cardrunner.workloads.command.showing import shown
from cardrunner.workloads.command.spec import SPEC, training_of
from cardrunner.workloads.command.state import ScriptState
from cardrunner.workspace import Workspace


class CommandWorkload:
    """See `cardrunner.contracts.RunsItself`."""

    spec: WorkloadSpec = SPEC

    def facts(self, ctx: RunContext) -> Iterator[Fact]:
        """The code of the run, the program that runs it, what is installed there, and the preflight."""
        if not ctx.folder.code_record.exists():
            return  # nothing is launched yet: a check of the checklist asks
        folder = code_folder(ctx)
        kept = readable_record(ctx.folder.code_record, KeptCode)
        found = program(ctx, folder, training_of(ctx.card).command[0])
        there = "/" not in found or Path(found).exists() or (folder / found).exists()
        yield Fact(
            name="code sha256",
            expected=ctx.card.code.sha256 if ctx.card.code else None,
            actual=kept.sha256 if kept else "",
            ok=True,
            note=f"commit {kept.commit}" if kept and kept.commit else None,
        )
        yield Fact(
            name="program",
            expected=training_of(ctx.card).command[0],
            actual=found if there else f"{found} is not there",
            ok=there,
            note=None if there else "make its virtual environment anew, or write the path of a program that exists",
        )
        if there:
            yield from examined(ctx, folder, found)
            yield from preflight_facts(ctx)

    def train(self, ctx: RunContext) -> None:
        """Start the script from its newest checkpoint and watch it to its end; see `Attempt.run`."""
        Attempt(ctx).run()

    def checked(self, ctx: RunContext) -> CheckpointRecord | None:
        """The best checkpoint's bytes against the manifest, and its metrics where the card can measure them again.

        Raises:
            IntegrityError: the bytes differ.
            EnvironmentFailed: the card's command to measure them failed.
        """
        began, best = time.monotonic(), best_kept(ctx)
        if best is None:
            return None
        record = CheckpointRecord(
            file=best.entry.file,
            sha256=best.entry.sha256,
            weights_sha256=best.entry.weights_sha256,
            epoch=best.entry.epoch,
            recorded=best.entry.metrics,
            measured={},
            largest_difference=0.0,
            tolerance=0.0,
            agrees=True,
            reported=True,
            seconds=time.monotonic() - began,
        )
        return evaluated(ctx, record, best.content)

    def end_left(self, folder: RunFolder) -> None:
        """End what the script of a killed worker still runs; its worker saw no end to do it at."""
        end_leftovers(ScriptState.of(folder).mark)

    def shown(self, ctx: RunContext) -> DemoResult | None:
        """The card's demo of the best checkpoint; None without one."""
        best = best_kept(ctx)
        return None if best is None else shown(ctx, best.content)

    def trial(
        self, card: Card, workspace: Workspace, *, seconds: float, stop: StopRequest, progress: Progress
    ) -> TrialResult:
        """See `cardrunner.contracts.OffersTrial`."""
        from cardrunner.workloads.command.trying.trial import try_card  # no run needs it

        return try_card(card, workspace, seconds=seconds, stop=stop, progress=progress)


WORKLOAD = CommandWorkload()
