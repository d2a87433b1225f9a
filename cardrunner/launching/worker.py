"""The worker: runs one attempt of a run, in a process or container, from its run folder alone.

``python -m cardrunner.launching.worker FOLDER [WORKSPACE]`` runs one attempt and ends with its exit code. The workspace
is the one whose rules judge the run.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
import traceback
from pathlib import Path

from cardrunner import registry
from cardrunner.card.schema.card import Card
from cardrunner.common.clock import utc_now, utc_text
from cardrunner.common.redaction import hide, hiding_streams
from cardrunner.errors import CardrunnerError, EnvironmentFailed
from cardrunner.launching.admission import begin_training
from cardrunner.launching.judgement import check_launched, judges_of
from cardrunner.launching.pipeline import open_context, run_stage, run_worker_stages
from cardrunner.plugins import Plugin
from cardrunner.runs.attempts import BEGAN_VARIABLE
from cardrunner.runs.environment import collect_environment, peak_memory
from cardrunner.runs.events import AttemptEnded, AttemptStarted, ResumePoint
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import launched_workspace, load_frozen
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.kept_folder import check_in_place
from cardrunner.runs.lease import Lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.lines import anchor_of
from cardrunner.runs.outcome import COMPLETED, AttemptEnd, outcome_of, overdue_outcome
from cardrunner.runs.records import STATE, Environment, LaunchRecord, LoadRecord, Manifest, find_record, read_record
from cardrunner.runs.status import last_heard
from cardrunner.tracking.progress import shown
from cardrunner.tracking.tracker_processes import TrackerProcesses


def run_worker(path: Path, *, workspace: Path | None = None) -> int:
    """Run one attempt of a run; a completed run returns at once.

    Args:
        path: the run folder.
        workspace: the workspace that judges it; None for the one found from here.

    Returns:
        the attempt's exit code, which the ledger has too.

    Raises:
        NameTaken: another worker has the run.
        IntegrityError: ``launch.json`` is missing or broken.
        EnvironmentFailed: the folder cannot be written.
    """
    folder = RunFolder(path.absolute(), workspace)
    ledger, lost = Ledger(folder.ledger), last_heard(folder)
    with StopRequest(folder.stop_request) as stop, Lease.acquire(folder) as lease:
        last = ledger.last(AttemptEnded)
        if last is not None and last.state == COMPLETED.state:
            return COMPLETED.exit_code
        if lost is not None:
            ledger.append(lost)
        return _attempt(folder, ledger, stop, lease)


def _attempt(folder: RunFolder, ledger: Ledger, stop: StopRequest, lease: Lease) -> int:
    number = ledger.attempts() + 1
    began = time.monotonic() - _made_ready()
    _record_start(folder, ledger, number)
    with TrackerProcesses(folder, number) as trackers:  # they read the end of the attempt before they are closed
        outcome = _run(folder, stop, number, trackers)
        try:
            ended = AttemptEnded(
                attempt=number,
                state=outcome.state,
                reason=outcome.reason,
                exit_code=outcome.exit_code,
                seconds=round(time.monotonic() - began, 3),
                peak_memory_bytes=peak_memory(),
                history=anchor_of(folder.history),
                ledger=anchor_of(folder.ledger),
            )
            ledger.append(ended)
        except EnvironmentFailed:  # the disk is full, or the folder is gone: the launcher records the end
            lease.leave_word(outcome.state, outcome.reason, outcome.exit_code)
            sys.stderr.write(f"{utc_now()} {outcome.state}: {outcome.reason}\n")
    return outcome.exit_code


def _run(folder: RunFolder, stop: StopRequest, number: int, trackers: TrackerProcesses) -> AttemptEnd:
    try:
        digest = check_launched(folder)
        begin_training(folder, judges_of(folder))
        ctx = open_context(folder, stop=stop, progress=shown(), attempt=number, digest=digest)
        trackers.start(ctx.card.infra.tracking.wanted)  # they connect while the data is loaded
        run_worker_stages(ctx)
    except BaseException as error:
        outcome = outcome_of(error)
        if outcome.state == "interrupted":
            outcome = overdue_outcome(folder, killed=False) or outcome
        _log(folder, traceback.format_exc() if outcome.bug else f"{outcome.state}: {outcome.reason}\n")
        return outcome
    return COMPLETED


def rehearse(path: Path, workspace: Path) -> list[str]:
    """Check what a first attempt checks before it trains: the gate, the imports, and the data against the card.

    Args:
        path: a temporary run folder.
        workspace: the workspace that judges it.

    Returns:
        a line for each fact that was compared.

    Raises:
        CardrunnerError: the attempt could not begin.
    """
    folder = RunFolder(path.absolute(), workspace)
    digest = check_launched(folder)
    _record_start(folder, Ledger(folder.ledger), 1)
    ctx = open_context(folder, stop=StopRequest(), progress=shown(), attempt=1, digest=digest)
    registry.workload(ctx.card.workload)
    first, *_ = registry.stage_names("worker", ctx.card.extra_stages)  # fails if a listed one is missing
    run_stage(ctx, first)
    found = find_record(folder.record(first), LoadRecord)
    return [f"{fact.name}: {fact.actual}" for fact in (found.facts if found else ())]


def launched_card(folder: RunFolder) -> Card:
    """The card that was launched, for executors.

    Raises:
        IntegrityError: it is not the card that was launched.
    """
    return load_frozen(folder, registry.workload_spec).card


def _record_start(folder: RunFolder, ledger: Ledger, number: int) -> None:
    launch = read_record(folder.launch, LaunchRecord)
    started = AttemptStarted(
        attempt=number,
        executor=launch.executor,
        pid=os.getpid(),
        host=socket.gethostname(),
        resumed_from=_resume_point(folder),
        began=utc_text(time.time() - _made_ready()),
        environment=_environment(folder, launch),
    )
    ledger.append(started)


def used_plugins(folder: RunFolder) -> tuple[Plugin, ...]:
    """The plug-ins that a run uses, also for executors; empty where its card cannot be read."""
    launch = read_record(folder.launch, LaunchRecord)
    with contextlib.suppress(CardrunnerError):  # an attempt whose card cannot be read ends before it trains
        return registry.plugins_of(load_frozen(folder, registry.workload_spec).card, executor=launch.executor)
    return ()


def _environment(folder: RunFolder, launch: LaunchRecord) -> Environment:
    """Where this attempt runs. Outside a repository, the commit is that of the launch if the code is the same."""
    root, plugins = launched_workspace(folder).root, used_plugins(folder)
    here, launched = collect_environment(root, launch.card_file, plugins), launch.code
    if launched is None or here.git_commit is not None or here.code_sha256 != launched.code_sha256:
        return here
    return here.model_copy(update={"git_commit": launched.git_commit, "git_dirty": launched.git_dirty})


def _made_ready() -> float:
    """Seconds since the container of this worker began to be prepared; 0 outside a container."""
    with contextlib.suppress(KeyError, ValueError):
        return max(0.0, time.time() - float(os.environ[BEGAN_VARIABLE]))
    return 0.0


def _resume_point(folder: RunFolder) -> ResumePoint | None:
    """The newest full state of the manifest; the train stage records it if it has to use an older one."""
    with contextlib.suppress(CardrunnerError):
        manifest = find_record(folder.manifest, Manifest) or Manifest()
        states = [entry for entry in manifest.entries if STATE in entry.roles]
        newest = max(states, key=lambda entry: entry.step, default=None)
        return ResumePoint(file=newest.file, epoch=newest.epoch, step=newest.step) if newest else None
    return None


def _log(folder: RunFolder, text: str) -> None:
    with contextlib.suppress(EnvironmentFailed), explained(folder.log, "write"):
        check_in_place(folder.log)
        with folder.log.open("a") as log:
            log.write(hide(f"{utc_now()} {text}"))


def _entry(arguments: list[str]) -> int:
    with hiding_streams():
        try:
            return run_worker(Path(arguments[0]), workspace=Path(arguments[1]) if arguments[1:] else None)
        except CardrunnerError as error:
            sys.stderr.write(f"{error}\n")  # an executor keeps it in the log
            return error.exit_code


if __name__ == "__main__":
    raise SystemExit(_entry(sys.argv[1:]))
