"""One attempt, seen from the launcher: submit the run folder to an executor, watch the run, and finish it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cardrunner import registry
from cardrunner.common.clock import utc_now
from cardrunner.contracts import Executor, Job, Progress, RemoteExecutor
from cardrunner.errors import CardrunnerError, Interrupted, NameTaken
from cardrunner.launching.admission import begin_training
from cardrunner.launching.finish import RunEnd, finish_run, recorded_ending, refuse_live
from cardrunner.launching.judgement import judged_from_here, judges_of
from cardrunner.launching.losses import append_end, left_alone, record_loss
from cardrunner.launching.remote_runs import remote_job
from cardrunner.launching.start_proof import StartProof
from cardrunner.runs.events import JobStarted, Submitted
from cardrunner.runs.files import explained, locked, write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.frozen import load_frozen
from cardrunner.runs.interrupts import signal_error
from cardrunner.runs.kept_folder import removed
from cardrunner.runs.lease import Lease, is_live, is_supervised
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.records import LaunchRecord, read_record
from cardrunner.runs.status import Status, derive_status, last_exit_code
from cardrunner.tracking.follow import follow, following
from cardrunner.tracking.progress import NullProgress, showing

_POLL_SECONDS = 0.1
_FINISHING_SECONDS = 120.0


def run_attempt(folder: RunFolder, *, detach: bool, progress: Progress) -> RunEnd:
    """Submit a worker, watch it until it ends, and finish the run.

    Args:
        folder: the run.
        detach: return after the start proof.
        progress: where to show it.

    Raises:
        NameTaken: another worker has taken the run.
        EnvironmentFailed: the worker cannot be started.
    """
    folder = judged_from_here(folder)
    executor = registry.executor(read_record(folder.launch, LaunchRecord).executor)
    remote = isinstance(executor, RemoteExecutor)
    proof = StartProof(folder, load_frozen(folder, registry.workload_spec))
    with _terminable():
        if not executor.survives_client:
            return proof.with_log(_run_here(folder, executor, proof, progress))
        job = _submitted(folder, executor, detach=detach, progress=progress)
        with _leaving(folder) if remote else _forwarding(job, progress) as asked:
            enough = proof.given if detach else _never
            follow(proof.loaded, folder, job.running, progress, since=proof.since, sync=job.sync, enough=enough)
            if job.running() and derive_status(folder).live:
                proof.complain(progress)
                return RunEnd(folder, derive_status(folder), 0, None)
            code = job.wait()
        return proof.with_log(_ended(folder, code, asked=asked(), progress=progress))


def attach(folder: RunFolder, *, progress: Progress) -> RunEnd:
    """Watch a run until it ends, and finish it unless its supervisor has."""
    job, loaded = job_of(folder), load_frozen(folder, registry.workload_spec)
    sync = _never if job is None else job.sync
    follow(loaded, folder, lambda: _going(folder, job), progress, sync=sync)
    return recorded_ending(folder) or finish(folder, progress=progress)


def finish(folder: RunFolder, *, progress: Progress) -> RunEnd:
    """Finish a run, after waiting for a supervisor that is already doing so.

    Raises:
        NameTaken: the run is live.
    """
    refresh(folder)
    refuse_live(derive_status(folder))
    if is_supervised(folder):
        loaded = load_frozen(folder, registry.workload_spec)
        follow(loaded, folder, lambda: is_supervised(folder), progress)
    if (remote := remote_job(folder)) is not None:
        record_loss(folder, remote.wait())
    with Lease.supervise(folder):
        return finish_run(folder, progress=progress)


def finish_if_left(folder: RunFolder, *, progress: Progress) -> None:
    """Finish a local run whose supervisor died. A run on a remote platform waits for `cardrunner finish`."""
    executor = registry.executor(read_record(folder.launch, LaunchRecord).executor)
    if executor.finishes_unattended and not is_supervised(folder) and recorded_ending(folder) is None:
        finish(folder, progress=progress)


def job_of(folder: RunFolder) -> Job | None:
    """The newest job of a run, from any shell; None for a run that was never submitted."""
    event = Ledger(folder.ledger).last(JobStarted)
    if event is None:  # the launcher may have died before it recorded the job
        return remote_job(folder)
    return registry.executor(read_record(folder.launch, LaunchRecord).executor).attach(folder, event.id)


def refresh(folder: RunFolder) -> str | None:
    """Update the run folder from the platform its worker runs on.

    Returns:
        why that was impossible, as a sentence; None if the folder is up to date.
    """
    try:
        if (job := job_of(folder)) is not None:
            job.sync()
    except CardrunnerError as error:
        return f"run {folder.name} is shown as of the last update: {error}"
    return None


def request_stop(folder: RunFolder, *, patience: float, force: bool = False) -> Status:
    """Ask a run to save its state and end.

    Args:
        folder: the run.
        patience: seconds to wait for its end.
        force: kill the worker if it has not ended by then. Saved checkpoints stay valid.

    Returns:
        its status afterwards.
    """
    write_text(folder.stop_request, f'{{"at": "{utc_now()}"}}\n')
    if (remote := remote_job(folder)) is not None:
        remote.stop()
    status = _waited_for(folder, patience)
    job = job_of(folder)
    if status.live and force and job is not None:
        job.stop(signal.SIGKILL)
        status = _waited_for(folder, max(patience, 10.0))
    until = time.monotonic() + _FINISHING_SECONDS
    while not status.live and is_supervised(folder) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    return derive_status(folder)


def _waited_for(folder: RunFolder, patience: float) -> Status:
    until = time.monotonic() + patience
    while (is_live(folder) or derive_status(folder).live) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        refresh(folder)
    return derive_status(folder)


def _submitted(folder: RunFolder, executor: Executor, *, detach: bool, progress: Progress) -> Job:
    ledger = Ledger(folder.ledger)
    with locked(folder.submitting):
        if executor.survives_client:
            _refuse_a_live_one(folder, progress)
        begin_training(folder, judges_of(folder))
        # before the worker's own events
        submitted = Submitted(
            executor=executor.name,
            detach=detach,
            start_seconds=executor.start_seconds,
            launcher=ProcessIdentity.here(),
        )
        ledger.append(submitted)
        try:
            job = executor.submit(folder)
        except CardrunnerError as error:
            append_end(folder, "failed", str(error), error.exit_code)
            raise
        ledger.append(JobStarted(id=job.id))
    return job


def _refuse_a_live_one(folder: RunFolder, progress: Progress) -> None:
    until = time.monotonic() + _FINISHING_SECONDS
    if is_supervised(folder) and not is_live(folder):
        progress.note("waiting until the attempt before this one has its results card")
    while is_supervised(folder) and not is_live(folder) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    if is_supervised(folder) or is_live(folder):
        raise NameTaken(f"run {folder.name} is live; watch it with `cardrunner attach {folder.name}`")


def _run_here(folder: RunFolder, executor: Executor, proof: StartProof, progress: Progress) -> RunEnd:
    """Run the worker in this process while a thread follows the run folder."""
    with Lease.supervise(folder):
        job = _submitted(folder, executor, detach=False, progress=progress)
        # the worker prints into the run's log, as a worker in its own process does
        with explained(folder.log, "write"):
            log = folder.log.open("a")
        with log, showing(NullProgress(log)), following(proof.loaded, folder, progress, since=proof.since):
            code = job.wait()
        _refuse_removed(folder)
        record_loss(folder, code)
        return finish_run(folder, progress=progress)


def _ended(folder: RunFolder, code: int, *, asked: bool, progress: Progress) -> RunEnd:
    """How a job ended. Finishes the run here unless its supervisor has."""
    if code == NameTaken.exit_code:
        raise left_alone(folder)
    _refuse_removed(folder)
    if (ending := recorded_ending(folder)) is not None:
        return ending
    record_loss(folder, code)
    if asked:
        problem = f"finishing was interrupted; `cardrunner finish {folder.name}` does the rest"
        return RunEnd(folder, derive_status(folder), last_exit_code(folder) or code, problem)
    with Lease.supervise(folder):
        return finish_run(folder, progress=progress)


def _refuse_removed(folder: RunFolder) -> None:
    """Leave it at that where the run folder is gone: anything written now would be half a run."""
    if not folder.launch.exists():
        raise removed(folder.root)


def _never() -> bool:
    return False


def _going(folder: RunFolder, job: Job | None) -> bool:
    return derive_status(folder).live if job is None else job.running()


@contextmanager
def _forwarding(job: Job, progress: Progress) -> Iterator[Callable[[], bool]]:
    """Pass SIGINT and SIGTERM on to the run, which saves and ends, and keep waiting for it."""
    seen = 0

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal seen
        seen += 1
        job.stop(number)
        if seen == 1:
            progress.note("asked the run to save and end; once more ends it at once")

    with _handling(forward, signal.SIGINT, signal.SIGTERM):
        yield lambda: seen > 0


@contextmanager
def _leaving(folder: RunFolder) -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C end the watching of a remote run, and leave the run going."""
    try:
        yield _never
    except KeyboardInterrupt:
        name = folder.name
        raise Interrupted(
            f"run {name} goes on: watch it with `cardrunner attach {name}`, end it with `cardrunner stop {name}`"
        ) from None


@contextmanager
def _terminable() -> Iterator[None]:
    """Make SIGTERM unwind the launcher as Ctrl-C does."""

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise signal_error(number)

    with _handling(leave, signal.SIGTERM):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
