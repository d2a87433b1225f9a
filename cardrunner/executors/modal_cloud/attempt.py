"""One container's part of a run: take it up from the volume, let the worker work, publish, and leave in good order.

A container ends in one of four ways. The worker ended with a verdict: that is returned, since anything raised would be
run again. The worker reached its timeout, or died: that is raised, and Modal starts the next attempt while the card's
retries last. Modal wants the machine back, or somebody cancelled the call: the worker is asked to save, what it saved
is committed, and the interruption goes on its way. Or the machine is gone, and the next attempt finds what was
committed.
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

from cardrunner.clock import utc_seconds
from cardrunner.errors import CardrunnerError, EnvironmentFailed, NameTaken
from cardrunner.executors import WORKER
from cardrunner.executors.modal_cloud.orders import (
    Order,
    check_same,
    write_files,
)
from cardrunner.executors.modal_cloud.publishing import Publisher
from cardrunner.executors.modal_cloud.signals import Hearing, deaf
from cardrunner.runs.attempts import BEGAN_VARIABLE
from cardrunner.runs.environment import child_environment, python_command
from cardrunner.runs.events import AttemptEnded, AttemptStarted, Committed, ContainerStarted, LastHeard, WarningGiven
from cardrunner.runs.files import explained, write_text
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.lease import read_lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.outcome import silent_end
from cardrunner.runs.records import Record, State

GRACE_SECONDS = 25.0
"""How long a worker may take to save once it is asked; Modal gives a container 30 s between one signal and the next."""
_LOOK_SECONDS = 0.1
_TAKEN_SECONDS = 1.0
_BRISK_SECONDS, _CALM_SECONDS = 1.0, 15.0
_BRISK_FOR = 120.0
"""At the beginning people want to see that it trains; later a commit every quarter of a minute will do."""
_ASK_SECONDS = 2.0
_FRESH_SECONDS = 90.0
"""How long ago a container may have been heard of that still counts as at work; it is heard of every quarter minute."""
_BUG = CardrunnerError.exit_code


class Outcome(Record):
    """What a container returns."""

    state: State
    exit_code: int
    reason: str | None = None


class AttemptOver(Exception):
    """Ends an attempt that Modal shall follow up with the next one."""


@dataclass
class Attempt:
    """One container's part of a run.

    Args:
        order: what was submitted.
        volume: where the card's volume is mounted.
        scratch: a folder on the container's own disk.
        commit: commits the volume.
        stop_asked: whether `cardrunner stop` has left its request on the volume, which this container's mount of it
            does not show.
        interruptions: what the platform raises in the main thread when it wants the container to leave.
        note: what the ledger shall know of this container.
    """

    order: Order
    volume: Path
    scratch: Path
    commit: Callable[[], object]
    stop_asked: Callable[[], bool]
    interruptions: tuple[type[BaseException], ...]
    note: dict[str, Any]
    began: float = field(default_factory=lambda: time.time() - _TAKEN_SECONDS)
    """The timeout and the money count from when the container took the call, a moment ago."""

    def __post_init__(self) -> None:
        self.place = RunFolder(self.volume / self.order.path.lstrip("/"))
        self.work = RunFolder(self.scratch / self.order.run)
        self.ledger = Ledger(self.work.ledger)
        self.publisher = Publisher(self.work, self.place, self.commit)
        self._published: object = None
        self._published_at = self._asked_at = -_CALM_SECONDS
        self._step: int | None = None
        self._shown = 0
        self._manifest_seen: tuple[int, int] | None = None

    def run(self) -> Outcome:
        """Do one attempt, or what an attempt can see at once.

        Raises:
            AttemptOver: Modal shall start the next attempt.
            BaseException: an interruption, once everything is saved.
        """
        try:
            self._take_up()
            self._publish()
            return self._ended(self._work_through())
        except CardrunnerError as error:  # that the volume is full, say, which another container would find too
            return Outcome(state="failed", exit_code=error.exit_code, reason=str(error))

    # ---------------------------------------------------------------- beginning

    def _take_up(self) -> None:
        """The run as it is committed, else as it was submitted.

        Raises:
            NameTaken: another run of that name is on the volume, or another container is at work on this one.
            IntegrityError: a file of the launch is not what was launched.
        """
        if self.place.launch.exists():
            check_same(self.place, self.order.files, where=self.order.path)
            self._refuse_two()
            self.publisher.restore()
        else:
            write_files(self.work, self.order.files)
        self.ledger.add_missing(self.order.events)
        container = ContainerStarted(submission=self.order.submission, app=self.order.app, **self.note)
        self.ledger.append(container)
        self._record_loss()

    def _refuse_two(self) -> None:
        """Two containers on one folder would overwrite each other: no lock of a volume keeps them apart."""
        last, body = Ledger(self.place.ledger).last(ContainerStarted), read_lease(self.place)
        known = (self.order.submission, self.order.follows)
        if last is None or last.submission in known or body is None or body.released:
            return
        with contextlib.suppress(ValueError):
            if time.time() - utc_seconds(body.heartbeat) < _FRESH_SECONDS:
                raise NameTaken(
                    f"another container is at work on {self.order.run} (call {last.call}, last heard of at "
                    f"{body.heartbeat}); watch it with `cardrunner attach {self.order.run}`"
                )

    def _record_loss(self) -> None:
        """Keep what an attempt took that was lost with its container: it was last heard of through its lease."""
        last = self.ledger.last(AttemptStarted, AttemptEnded)
        body = read_lease(self.place)
        if isinstance(last, AttemptStarted) and body is not None:
            self.ledger.append(LastHeard(of=last.attempt, heartbeat=body.heartbeat))

    # ---------------------------------------------------------------- at work

    def _work_through(self) -> int:
        """Run the worker to its end; its exit code, minus the signal where one ended it.

        Raises:
            EnvironmentFailed: the volume takes no more, and going on would only cost money.
        """
        worker = self._start()
        try:
            with Hearing() as hearing:
                while worker.poll() is None:
                    self._look()
                    hearing.check()
                    time.sleep(_LOOK_SECONDS)
        except self.interruptions as interruption:
            with deaf():
                self.ledger.append(WarningGiven(attempt=self.ledger.attempts(), message=_words(interruption)))
                _send_away(worker)
                self._leave()
            raise
        finally:
            worker.kill()
        return worker.returncode

    def _start(self) -> subprocess.Popen[bytes]:
        with explained(self.work.log, "write"), self.work.log.open("ab") as log:
            self._shown = self.work.log.stat().st_size
            return subprocess.Popen(
                python_command(WORKER, str(self.work.root)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**child_environment(), BEGAN_VARIABLE: str(self.began)},
            )

    def _look(self) -> None:
        """Whatever is due: show what the worker printed, pass on a request to stop, publish.

        Raises:
            EnvironmentFailed: the volume takes no more.
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
        """Print what the worker printed, so that it stands in Modal's own log too."""
        with self.work.log.open("rb") as log:
            log.seek(self._shown)
            data = log.read()
        self._shown += len(data)
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()

    def _publish(self) -> None:
        """Publish what changed, if anything did, and record which step is durable now."""
        stamps = self.publisher.records()
        self._manifest_seen = self._manifest_stamp()
        self._published_at = time.monotonic()
        if (stamps, self._manifest_seen) == self._published:
            return
        done = self.publisher.publish()
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

    def _ended(self, code: int) -> Outcome:
        """What becomes of a worker that ended by itself.

        Raises:
            AttemptOver: Modal shall start the next attempt.
        """
        self._show()
        end = self._own_word() or self._record_end(code)
        with deaf():  # we are leaving anyway
            self._publish()
            self._publish()  # which step is durable was recorded by the one before
        outcome = Outcome(state=end.state, exit_code=end.exit_code, reason=end.reason)
        if self.order.retries and self._is_worth_another(outcome, code):
            raise AttemptOver(f"attempt {end.attempt}: {outcome.state}: {outcome.reason}; step {self._step} is durable")
        return outcome

    def _own_word(self) -> AttemptEnded | None:
        last = self.ledger.last(AttemptStarted, AttemptEnded)
        return last if isinstance(last, AttemptEnded) else None

    def _record_end(self, code: int) -> AttemptEnded:
        """Record the end of a worker that could not do so itself."""
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

    def _is_worth_another(self, outcome: Outcome, code: int) -> bool:
        """Whether the next attempt could do better: time was up, or something broke for the first time like this."""
        if outcome.state in ("timed_out", "interrupted") or code < 0:
            return True
        reasons = [event.reason for event in self.ledger.events(AttemptEnded)]
        return outcome.exit_code == _BUG and reasons.count(outcome.reason) < 2

    def _leave(self) -> None:
        """Save what can be saved before the container goes."""
        self._show()
        with contextlib.suppress(CardrunnerError):  # the next attempt goes on from what was committed before
            self._publish()


def _send_away(worker: subprocess.Popen[bytes]) -> None:
    """Ask a worker to save and end; end it when it does not."""
    with contextlib.suppress(ProcessLookupError):
        worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _words(interruption: BaseException) -> str:
    if isinstance(interruption, KeyboardInterrupt):
        return "Modal takes the machine back: saving; the run goes on in another container"
    return "Modal ends this container, since its time is up or the call was cancelled: saving"
