"""One attempt of a run: hand its folder to an executor, watch it, and finish on this side."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cardrunner import registry
from cardrunner.contracts import Job, Progress
from cardrunner.errors import EnvironmentFailed, NameTaken, Terminated
from cardrunner.finish import Ending, finish_run, frozen_card
from cardrunner.runs.clock import utc_now
from cardrunner.runs.files import write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import LaunchRecord, State, read_record
from cardrunner.runs.status import LOST_EXIT_CODE, Status, derive_status, last_exit_code, metered_seconds
from cardrunner.tracking.follow import follow
from cardrunner.tracking.progress import showing

_SIGNAL_CODES = {128 + signal.SIGINT, 128 + signal.SIGTERM}
_OWN_CODES = range(1, 9)
"""What a worker of ours ends with when it cannot write the end down; anything else came from elsewhere."""
_LOOK_SECONDS = 0.1
_PATIENCE = 3
"""Signals until a worker is killed without asking."""


def run_attempt(folder: RunFolder, *, detach: bool, progress: Progress) -> Ending:
    """Submit a worker, follow it to its end and do what is left for this side.

    Args:
        folder: the run.
        detach: return once it trains; what is left is for `cardrunner finish`.
        progress: where to show it.

    Raises:
        NameTaken: another worker was faster.
        EnvironmentFailed: the worker cannot be started.
    """
    rows = len(History(folder.history).rows())
    with _terminable(), showing(progress):
        job = _submit(folder, detach=detach)
        with _forwarding(job, progress):
            trains = _watch(folder, job, progress, until=lambda: detach and len(History(folder.history).rows()) > rows)
        if trains:
            return Ending(folder, derive_status(folder), 0, None)
        _record_loss(folder, job.wait())
        return finish_run(folder, progress=progress)


def attach(folder: RunFolder, *, progress: Progress) -> Ending:
    """Watch a run to its end; a detached one is finished on this side."""
    follow(folder, lambda: derive_status(folder).live, progress, epochs=frozen_card(folder).training.epochs)
    submitted = Ledger(folder.ledger).last("submitted", "finished")
    if submitted is not None and submitted.get("detach"):
        return finish_run(folder, progress=progress)
    return Ending(folder, derive_status(folder), last_exit_code(folder), None)


def request_stop(folder: RunFolder, *, patience: float) -> Status:
    """Ask a run to save and end.

    Args:
        folder: the run.
        patience: seconds to wait for its end.

    Returns:
        its status then.
    """
    write_text(folder.stop_request, f'{{"at": "{utc_now()}"}}\n')
    until = time.monotonic() + patience
    while (status := derive_status(folder)).live and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return status


def _submit(folder: RunFolder, *, detach: bool) -> Job:
    ledger, name = Ledger(folder.ledger), read_record(folder.launch, LaunchRecord).executor
    ledger.append("submitted", executor=name, detach=detach)  # before the worker's own events
    try:
        job = registry.executor(name).submit(folder)
    except EnvironmentFailed as error:
        _append_end(folder, "failed", str(error), error.exit_code)
        raise
    ledger.append("job", id=job.id)
    return job


def _watch(folder: RunFolder, job: Job, progress: Progress, *, until: Callable[[], bool]) -> bool:
    """Follow a worker in another process; True when it was left running."""
    follow(folder, job.running, progress, epochs=frozen_card(folder).training.epochs, seen_enough=until)
    return job.running()


def _record_loss(folder: RunFolder, code: int) -> None:
    """Write down how a worker ended that could not do so itself.

    Raises:
        NameTaken: it gave way to another one.
    """
    last = Ledger(folder.ledger).last("submitted", "attempt_started", "attempt_ended")
    if last is not None and last["event"] == "attempt_ended":
        return
    if code == NameTaken.exit_code:
        raise NameTaken(f"run {folder.name} is live; watch it with `cardrunner attach {folder.name}`")
    if code in _SIGNAL_CODES:
        _append_end(folder, "interrupted", "ended at once by a signal, without saving", code)
    elif code > 128:
        _append_end(folder, "interrupted", f"the worker was killed by signal {code - 128}", LOST_EXIT_CODE)
    else:
        reason = f"the worker ended with {code} and no word; see `cardrunner logs {folder.name}`"
        _append_end(folder, "failed", reason, code if code in _OWN_CODES else LOST_EXIT_CODE)


def _append_end(folder: RunFolder, state: State, reason: str, exit_code: int) -> None:
    ledger = Ledger(folder.ledger)
    seconds = metered_seconds(folder) - sum(event["seconds"] for event in ledger.events("attempt_ended"))
    with contextlib.suppress(EnvironmentFailed):  # a full disk must not hide how the run ended
        ledger.append(
            "attempt_ended",
            attempt=ledger.attempts(),
            state=state,
            reason=reason,
            exit_code=exit_code,
            seconds=round(max(seconds, 0.0), 3),
        )


@contextmanager
def _forwarding(job: Job, progress: Progress) -> Iterator[None]:
    """Pass SIGINT and SIGTERM on to the worker, which saves and ends; whoever waits goes on waiting."""
    seen = 0

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal seen
        seen += 1
        job.stop(number if seen < _PATIENCE else signal.SIGKILL)
        if seen == 1:
            progress.note("asked the run to save and end; once more ends it at once")

    with _handling(forward, signal.SIGINT, signal.SIGTERM):
        yield


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind this side as Ctrl-C does."""

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise Terminated("ended by SIGTERM")

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
