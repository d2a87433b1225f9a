"""The end of a run, after the worker: download, demo, results card. Safe to repeat."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cardrunner import registry
from cardrunner.card.schema.card import Card
from cardrunner.contracts import Progress, RunContext, Stage
from cardrunner.errors import CardrunnerError, EnvironmentFailed, NameTaken, UsageError
from cardrunner.launching.pipeline import open_context, run_stage
from cardrunner.launching.remote_runs import fetch_checkpoints, ran_remotely
from cardrunner.report import render_report
from cardrunner.runs.events import (
    AttemptEnded,
    AttemptStarted,
    Finished,
    Finishing,
    StageEnded,
    Submitted,
    WarningGiven,
)
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import BEST, LATEST, DemoRecord, find_record
from cardrunner.runs.seals import changing
from cardrunner.runs.status import Status, derive_status, last_exit_code
from cardrunner.stages.download import fetch
from cardrunner.tracking.progress import shown
from cardrunner.workspace import Workspace


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, for the command that waited for it."""

    folder: RunFolder
    status: Status
    exit_code: int
    problem: str | None
    """What failed in the stages after the worker, as a sentence."""
    log: str | None = None
    """The last lines of the worker's log, if the run failed before it trained."""


def finish_run(folder: RunFolder, *, progress: Progress) -> RunEnd:
    """Run the stages after the worker of a completed run, and write the results card of any run.

    A later stage that fails does not hide how the run ended: a completed run gets the stage's exit code, any other run
    keeps its own. The caller must hold the run's supervision (`cardrunner.runs.lease.Lease.supervise`), so that two
    processes never write the same files.

    Raises:
        NameTaken: the run is live.
    """
    status = derive_status(folder, supervising=True)
    refuse_live(status)
    with changing(folder, "finish", warn=_warner(progress), opening=Finishing(), supervising=True):
        code, problem = _finished(folder, status, progress)
    return RunEnd(folder, derive_status(folder), code, problem)


def _finished(folder: RunFolder, status: Status, progress: Progress) -> tuple[int, str | None]:
    """Exit code and problem of a run whose stages after the worker were run."""
    problem: CardrunnerError | None = None
    try:
        if status.state == "completed":
            run_launcher_stages(folder, progress=progress)
    except CardrunnerError as error:
        problem = error
    finally:
        failed = _report(folder, progress)
    problem = problem or failed
    code = last_exit_code(folder) or (problem.exit_code if problem else 0)
    text = None if problem is None else str(problem)
    with contextlib.suppress(EnvironmentFailed):  # a full disk must not hide how the run ended
        Ledger(folder.ledger).append(Finished(problem=text, exit_code=code))
    return code, text


def report(folder: RunFolder, *, progress: Progress) -> Path:
    """Render the results card of a run again; the path of the page.

    Raises:
        CardrunnerError: see `cardrunner.report.render_report`.
    """
    warn = _warner(progress)
    with changing(folder, "report", warn=lambda _: None):  # the page itself says what is damaged
        return render_report(folder, resolve=registry.workload_spec, stages=registry.stages_of, warn=warn)


def _warner(progress: Progress) -> Callable[[str], None]:
    return lambda text: progress.note(f"warning: {text}")


def refuse_live(status: Status) -> None:
    """Refuse a run that is live.

    Raises:
        NameTaken: it is.
    """
    if status.live:
        raise NameTaken(f"run {status.run} is still {status.state}; watch it with `cardrunner attach {status.run}`")


def recorded_ending(folder: RunFolder) -> RunEnd | None:
    """The recorded end of a run that was finished after its last worker; None while it has yet to be finished."""
    event = Ledger(folder.ledger).last(Submitted, AttemptStarted, AttemptEnded, Finished)
    if not isinstance(event, Finished):
        return None
    return RunEnd(folder, derive_status(folder), event.exit_code or last_exit_code(folder), event.problem)


def run_launcher_stages(folder: RunFolder, *, progress: Progress) -> None:
    """Run the launcher's stages whose results are missing."""
    ctx = launcher_context(folder, progress=progress)
    stages = registry.stages("launcher", ctx.card.extra_stages)
    _warn_of_lost_files(ctx)
    fetch_checkpoints(folder, [file for stage in stages for file in stage.checkpoints(ctx.card)], progress=progress)
    for stage in stages:
        if not _done(ctx, stage):
            with explained(folder.root, f"run the stage {stage.name} of"):
                if not _ran_remotely(ctx, stage):
                    run_stage(ctx, stage.name)


def _warn_of_lost_files(ctx: RunContext) -> None:
    """Warn about worker stages whose files are missing or changed. Only the machine with the data could repeat them."""
    for stage in registry.stages("worker", ctx.card.extra_stages):
        if not stage.done(ctx.folder, ctx.card):
            message = f"what the {stage.name} stage left is not all there any more, or not as it was"
            ctx.ledger.append(WarningGiven(message=message))
            ctx.progress.note(f"warning: {message}")


def run_launcher_stage(path: Path, name: str, workspace: Path) -> None:
    """Run one launcher stage, on a machine that has the data.

    Args:
        path: the run folder.
        name: the stage.
        workspace: a folder with the files of the workspace that the stage reads.

    Raises:
        CardrunnerError: what the stage raises.
    """
    run_stage(launcher_context(RunFolder(path), progress=shown(), workspace=Workspace(workspace)), name)


def _ran_remotely(ctx: RunContext, stage: Stage) -> bool:
    """Run a stage on the remote platform if it needs data that only that platform has; whether it was run there."""
    there = ran_remotely(ctx.folder, ctx.card, ctx.workspace, stage, progress=ctx.progress)
    if there:
        stage.after_remote_run(ctx)
    return there


def download(folder: RunFolder, *, checkpoint: str | None, progress: Progress) -> Path:
    """Copy one checkpoint.

    Args:
        folder: the run.
        checkpoint: ``best``, ``latest`` or a file of the manifest; None for the one the card names.
        progress: where to show it.

    Returns:
        the copy: where the card says for the checkpoint that it names, else under ``checkpoints/`` of the workspace.

    Raises:
        IntegrityError: there is no such checkpoint, or its bytes are not what the manifest says.
    """
    with changing(folder, "download", warn=_warner(progress)):
        return _downloaded(folder, checkpoint, progress)


def _downloaded(folder: RunFolder, checkpoint: str | None, progress: Progress) -> Path:
    ctx = launcher_context(folder, progress=progress)
    planned = ctx.card.after_training.download
    name = checkpoint or (planned.checkpoint if planned else "best")
    file = f"{name}.pt" if name in (BEST, LATEST) else name
    to = planned.to if planned and planned.checkpoint == name else f"checkpoints/{folder.name}/{Path(file).name}"
    fetch_checkpoints(folder, [file], progress=progress)
    return ctx.workspace.root / fetch(ctx, checkpoint=file, to=to).to


def demo(folder: RunFolder, *, progress: Progress) -> tuple[Path, ...]:
    """Make the demo.

    Returns:
        its files.

    Raises:
        UsageError: the card or its workload has none.
        IntegrityError: the best checkpoint is not what the manifest says.
    """
    with changing(folder, "demo", warn=_warner(progress)):
        return _shown(folder, progress)


def _shown(folder: RunFolder, progress: Progress) -> tuple[Path, ...]:
    ctx = launcher_context(folder, progress=progress)
    stage = registry.stage("demo")
    fetch_checkpoints(folder, stage.checkpoints(ctx.card), progress=progress)
    if not _ran_remotely(ctx, stage):
        stage.run(ctx)
    record = find_record(folder.record(stage.name), DemoRecord)
    if record is None:
        raise UsageError(f"the card of {folder.name} asks for no demo, or its workload has none")
    return tuple(folder.root / file for file in record.files)


def launcher_context(folder: RunFolder, *, progress: Progress, workspace: Workspace | None = None) -> RunContext:
    """The context that a launcher stage is given."""
    attempt = Ledger(folder.ledger).attempts()
    return open_context(folder, stop=StopRequest(), progress=progress, attempt=attempt, workspace=workspace)


def frozen_card(folder: RunFolder) -> Card:
    """The card that was launched.

    Raises:
        IntegrityError: it is missing or was changed.
    """
    return load_frozen(folder, registry.workload_spec).card


def _report(folder: RunFolder, progress: Progress) -> CardrunnerError | None:
    progress.stage("report")
    try:
        render_report(folder, resolve=registry.workload_spec, stages=registry.stages_of, warn=progress.note)
    except CardrunnerError as error:
        return error
    return None


def _done(ctx: RunContext, stage: Stage) -> bool:
    """True if the stage succeeded and its files are intact."""
    ended = any(event.ok for event in ctx.ledger.events(StageEnded) if event.stage == stage.name)
    return ended and stage.done(ctx.folder, ctx.card)
