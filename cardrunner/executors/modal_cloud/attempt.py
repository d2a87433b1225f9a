"""One container's part of a run: restore it from the volume, run the worker, publish, and end cleanly.

A container ends in one of four ways. The worker ended with a result: it is returned, because Modal retries whatever is
raised. The worker reached its timeout, or died: that is raised, and Modal starts the next attempt while the card's
retries last. Modal preempts the machine, or the call was cancelled: the worker is asked to save, its state is
committed, and the interruption is raised again. Or the machine is lost, and the next attempt starts from the last
commit.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cardrunner.common.clock import utc_seconds
from cardrunner.errors import CardrunnerError, EnvironmentFailed, NameTaken
from cardrunner.executors import WORKER
from cardrunner.executors.modal_cloud.orders import (
    Order,
    check_same,
    write_files,
    write_judges,
)
from cardrunner.executors.modal_cloud.publishing import Publisher
from cardrunner.executors.modal_cloud.signals import SignalListener, ignored_signals
from cardrunner.executors.modal_cloud.snapshot import ARCHIVE, bring
from cardrunner.runs.attempts import BEGAN_VARIABLE
from cardrunner.runs.environment import child_environment, python_command
from cardrunner.runs.events import AttemptEnded, AttemptStarted, Committed, ContainerStarted, LastHeard, WarningGiven
from cardrunner.runs.files import explained, write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.interrupts import LEAVE_VARIABLE
from cardrunner.runs.lease import read_lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.outcome import silent_end
from cardrunner.runs.records import Record, State

GRACE_SECONDS = 25.0
"""How long a worker may take to save when asked. Modal gives a container 30 s between its signals."""
_POLL_SECONDS = 0.1
_TAKEN_SECONDS = 1.0
_BRISK_SECONDS, _CALM_SECONDS = 1.0, 15.0
_BRISK_FOR = 120.0
"""How long commits are frequent, so that people see early that the run trains."""
_ASK_SECONDS = 2.0
_FRESH_SECONDS = 90.0
"""The age of a heartbeat up to which a container counts as alive; heartbeats are published every 15 s."""
_BUG = CardrunnerError.exit_code


class ContainerEnd(Record):
    """What a container returns."""

    state: State
    exit_code: int
    reason: str | None = None


class AttemptOver(Exception):
    """Raised to make Modal start the next attempt."""


@dataclass
class ContainerAttempt:
    """One container's part of a run.

    Args:
        order: the submission.
        volume: where the card's volume is mounted.
        scratch: a folder on the container's own disk.
        commit: commits the volume.
        stop_asked: whether `cardrunner stop` has left its request on the volume. The container's mount does not show
            it.
        interruptions: what the platform raises in the main thread to end the container.
        note: fields of the event `ContainerStarted`.
    """

    order: Order
    volume: Path
    scratch: Path
    commit: Callable[[], object]
    stop_asked: Callable[[], bool]
    interruptions: tuple[type[BaseException], ...]
    note: dict[str, Any]
    began: float = field(default_factory=lambda: time.time() - _TAKEN_SECONDS)
    """When the container took the call, in seconds since 1970. Timeout and cost count from then."""

    def __post_init__(self) -> None:
        self.place = RunFolder(self.volume / self.order.path.lstrip("/"))
        self.work = RunFolder(self.scratch / self.order.run)
        self.judges_root = self.scratch / ".judges"
        self.judges = self.judges_root / self.order.judged_in
        self.ledger = Ledger(self.work.ledger)
        self.publisher = Publisher(self.work, self.place, self.commit)
        self._published: object = None
        self._published_at = self._asked_at = -_CALM_SECONDS
        self._step: int | None = None
        self._shown = 0
        self._manifest_seen: tuple[int, int] | None = None

    def run(self) -> ContainerEnd:
        """Run one attempt.

        Raises:
            AttemptOver: Modal should start the next attempt.
            BaseException: an interruption, after everything is saved.
        """
        try:
            self._restore()
            self._publish()
            return self._ended(self._work_through())
        except CardrunnerError as error:  # such as a full volume, which another container would meet too
            return ContainerEnd(state="failed", exit_code=error.exit_code, reason=str(error))

    # ---------------------------------------------------------------- beginning

    def _restore(self) -> None:
        """Restore the run as committed; for a new run, as submitted.

        Raises:
            NameTaken: another run of that name is on the volume, or another container is at work on this one.
            IntegrityError: a file of the launch was changed.
        """
        if self.place.launch.exists():
            check_same(self.place, self.order.files, where=self.order.path)
            self._refuse_two()
            self.publisher.restore()
        else:
            write_files(self.work, self.order.files)
        bring(Path.home() / ARCHIVE, self.work)
        write_judges(self.judges_root, self.order)
        self.ledger.add_missing(self.order.events)
        container = ContainerStarted(
            submission=self.order.submission, app=self.order.app, image=self.order.image, **self.note
        )
        self.ledger.append(container)
        self._record_loss()

    def _refuse_two(self) -> None:
        """Refuse to share the folder with a live container. Volumes have no locks, so heartbeats have to serve."""
        last, body = Ledger(self.place.ledger).last(ContainerStarted), read_lease(self.place)
        known = (self.order.submission, self.order.follows)
        if last is None or last.submission in known or body is None or body.released:
            return
        with contextlib.suppress(ValueError):
            if time.time() - utc_seconds(body.heartbeat) < _FRESH_SECONDS:
                raise NameTaken(
                    f"another container is at work on {self.order.run} (call {last.call}, last heartbeat "
                    f"{body.heartbeat}); watch it with `cardrunner attach {self.order.run}`"
                )

    def _record_loss(self) -> None:
        """Record the last heartbeat of an attempt that was lost with its container, so that its time counts."""
        last = self.ledger.last(AttemptStarted, AttemptEnded)
        body = read_lease(self.place)
        if isinstance(last, AttemptStarted) and body is not None:
            self.ledger.append(LastHeard(of=last.attempt, heartbeat=body.heartbeat))

    # ---------------------------------------------------------------- at work

    def _work_through(self) -> int:
        """Run the worker to its end; its exit code, or minus the signal that ended it.

        Raises:
            EnvironmentFailed: the volume cannot be written, so that going on would only cost money.
        """
        worker = self._start()
        try:
            with SignalListener() as signals:
                while worker.poll() is None:
                    self._poll()
                    signals.check()
                    time.sleep(_POLL_SECONDS)
        except self.interruptions as interruption:
            with ignored_signals():
                self.ledger.append(WarningGiven(attempt=self.ledger.attempts(), message=_warning(interruption)))
                _end_worker(worker)
                self._save()
            raise
        finally:
            worker.kill()
        return worker.returncode

    def _start(self) -> subprocess.Popen[bytes]:
        with explained(self.work.log, "write"), self.work.log.open("ab") as log:
            self._shown = self.work.log.stat().st_size
            return subprocess.Popen(
                python_command(WORKER, str(self.work.root), str(self.judges)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**child_environment(), BEGAN_VARIABLE: str(self.began), LEAVE_VARIABLE: str(GRACE_SECONDS)},
            )

    def _poll(self) -> None:
        """Do what is due: show the worker's output, pass on a request to stop, publish.

        Raises:
            EnvironmentFailed: the volume cannot be written.
        """
        self._show()
        now = time.monotonic()
        if now - self._asked_at >= _ASK_SECONDS:
            self._asked_at = now
            if not self.work.stop_request.exists() and self.stop_asked():
                write_text(self.work.stop_request, "{}\n")
        pace = _BRISK_SECONDS if time.time() - self.began < _BRISK_FOR else _CALM_SECONDS
        if self._manifest_stamp() != self._manifest_seen or now - self._published_at >= pace:
            self._publish()

    def _show(self) -> None:
        """Print the worker's new output, so that Modal's own log has it too."""
        with self.work.log.open("rb") as log:
            log.seek(self._shown)
            data = log.read()
        self._shown += len(data)
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()

    def _publish(self, *, final: bool = False) -> None:
        """Publish changes, if there are any, and record which step is durable now; at the end, all there is."""
        stamps = self.publisher.records()
        self._manifest_seen = self._manifest_stamp()
        self._published_at = time.monotonic()
        if (stamps, self._manifest_seen) == self._published and not final:
            return
        done = self.publisher.publish(final=final)
        if done.step != self._step or done.tries > 1:
            self._step = done.step
            committed = Committed(
                attempt=self.ledger.attempts(),
                durable_step=done.step,
                tries=done.tries,
                seconds=round(done.seconds, 3),
            )
            self.ledger.append(committed)
        self._published = (stamps, self._manifest_seen)

    def _manifest_stamp(self) -> tuple[int, int] | None:
        with contextlib.suppress(FileNotFoundError):
            status = self.work.manifest.stat()
            return status.st_size, status.st_mtime_ns
        return None

    # ---------------------------------------------------------------- the end

    def _ended(self, code: int) -> ContainerEnd:
        """The end of a container whose worker ended by itself.

        Raises:
            AttemptOver: Modal should start the next attempt.
        """
        self._show()
        end = self._recorded_end() or self._record_end(code)
        with ignored_signals():  # the container ends anyway
            self._publish(final=True)
            self._publish()  # the event that the first call recorded
        outcome = ContainerEnd(state=end.state, exit_code=end.exit_code, reason=end.reason)
        if self.order.retries and self._is_worth_another(outcome, code):
            raise AttemptOver(f"attempt {end.attempt}: {outcome.state}: {outcome.reason}; step {self._step} is durable")
        return outcome

    def _recorded_end(self) -> AttemptEnded | None:
        last = self.ledger.last(AttemptStarted, AttemptEnded)
        return last if isinstance(last, AttemptEnded) else None

    def _record_end(self, code: int) -> AttemptEnded:
        """Record the end of a worker that died before recording it."""
        last = self.ledger.last(AttemptStarted)
        number = last.attempt if last else self.ledger.attempts() + 1
        state: State = "interrupted" if code < 0 else "failed"
        end = AttemptEnded(
            attempt=number,
            state=state,
            reason=f"the worker {silent_end(code)}",
            exit_code=EnvironmentFailed.exit_code,
            seconds=round(time.time() - self.began, 3),
        )
        self.ledger.append(end)
        return end

    def _is_worth_another(self, outcome: ContainerEnd, code: int) -> bool:
        """Whether to make another attempt: after a timeout, an interruption, or the first error of its kind."""
        if outcome.state in ("timed_out", "interrupted") or code < 0:
            return True
        reasons = [event.reason for event in self.ledger.events(AttemptEnded)]
        return outcome.exit_code == _BUG and reasons.count(outcome.reason) < 2

    def _save(self) -> None:
        """Publish the last state before the container ends."""
        self._show()
        with contextlib.suppress(CardrunnerError):  # the next attempt starts from the previous commit
            self._publish(final=True)


def _end_worker(worker: subprocess.Popen[bytes]) -> None:
    """Ask a worker to save and end; kill it after `GRACE_SECONDS`."""
    with contextlib.suppress(ProcessLookupError):
        worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _warning(interruption: BaseException) -> str:
    if isinstance(interruption, KeyboardInterrupt):
        return "Modal takes the machine back: saving; the run goes on in another container"
    return "Modal ends this container, because its time is up or the call was cancelled: saving"
