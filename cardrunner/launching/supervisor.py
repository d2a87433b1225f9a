"""Beside a local worker, in a session of its own: starts it, waits, and does what is left when it has ended.

``python -m cardrunner.launching.supervisor FOLDER EXECUTOR`` outlives the shell that launched the run. It passes
requests on, writes down how a worker ended that could not do so itself, ends one that goes on beyond its timeout or
budget, starts a crashed one again as ``infra.retries`` allows, and finishes the run: download, demo, results card.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from cardrunner import registry
from cardrunner.contracts import SupervisedExecutor
from cardrunner.errors import CardrunnerError, EnvironmentFailed, PluginFailed
from cardrunner.launching.losses import MemoryKills, append_end, record_loss
from cardrunner.plugins import blamed_plugin
from cardrunner.redaction import hiding_streams
from cardrunner.runs import outcome as overdue
from cardrunner.runs.events import AttemptEnded, Retried, Submitted, TrainingBegan
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.interrupts import signal_error
from cardrunner.runs.kept_folder import check_in_place
from cardrunner.runs.lease import Lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.status import CRASHES, metered_seconds
from cardrunner.tracking.progress import NullProgress

if TYPE_CHECKING:
    from cardrunner.training.budget import Limits

_PATIENCE = 3
"""Requests until the worker is killed without asking."""


class Supervisor:
    """Supervises a run from one submission to its end.

    Args:
        folder: the run.
        executor: the one that submitted it, which starts every attempt.
    """

    def __init__(self, folder: RunFolder, executor: SupervisedExecutor) -> None:
        self.folder, self.executor, self.ledger = folder, executor, Ledger(folder.ledger)
        self.worker: subprocess.Popen[bytes] | None = None
        self.requests = 0
        self.asked: int | None = None
        self.finishing = _Finishing()

    def run(self) -> int:
        """Attempt by attempt, then what is left; the run's exit code.

        Raises:
            NameTaken: another supervisor is at it.
        """
        with Lease.supervise(self.folder), self._handling():
            before = self.ledger.attempts()
            while True:
                known = self.ledger.attempts()
                self._attempt()
                check_in_place(self.folder.ledger)
                started = self.ledger.attempts()
                if started == known or not self._tries_again(started - before):
                    break  # one that could not even begin would only do the same again
            return self._finish()

    def _attempt(self) -> None:
        kills = MemoryKills()
        try:
            self.worker = self.executor.start_worker(self.folder)
        except EnvironmentFailed as error:
            append_end(self.folder, "failed", str(error), error.exit_code)
            return
        except Exception as error:  # the executor may be of another package
            if (sentence := blamed_plugin(error)) is None:
                raise
            append_end(self.folder, "failed", sentence, PluginFailed.exit_code)
            return
        if self.asked is not None:  # somebody asked while it was being started
            self.worker.send_signal(self.asked)
        code = self._waited(self.worker)
        self.worker = None
        record_loss(self.folder, code if code >= 0 else 128 - code, out_of_memory=kills.happened)

    def _waited(self, worker: subprocess.Popen[bytes]) -> int:
        """Its exit code; whatever will be needed after it is imported while a longer run gives time for it."""
        began = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return worker.wait(overdue.GRACE_SECONDS)  # no limit is enforced earlier
        importlib.import_module("cardrunner.launching.finish")
        limits = self._limits(time.monotonic() - began)
        if limits is None or (left := limits.seconds_left) is None:
            return worker.wait()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return worker.wait(max(0.0, left + overdue.GRACE_SECONDS))
        return self._ended(worker, limits)

    def _limits(self, seconds: float) -> Limits | None:
        """Of the worker that has run for so long; None for a card that cannot be read, which the worker finds too."""
        from cardrunner.launching.finish import frozen_card
        from cardrunner.training.budget import Limits

        with contextlib.suppress(CardrunnerError):
            metered = max(metered_seconds(self.folder), seconds)
            return Limits.of(frozen_card(self.folder), attempt_seconds=seconds, metered_seconds=metered)
        return None

    def _ended(self, worker: subprocess.Popen[bytes], limits: Limits) -> int:
        """End a worker that has not done so itself at a limit; its exit code."""
        if (limit := limits.passed()) is not None:
            with contextlib.suppress(EnvironmentFailed):  # on a full disk it is ended all the same
                overdue.record_overdue(self.folder, limit)
        if not self.requests:  # a second request would end it at once, while it may be saving
            worker.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return worker.wait(overdue.GRACE_SECONDS)
        worker.kill()
        return worker.wait()

    def _tries_again(self, attempts: int) -> bool:
        """Whether the card has a crashed worker started again; one that never trained would only crash again."""
        last = self.ledger.last(AttemptEnded)
        if last is None or self.requests or self.folder.stop_request.exists():
            return False
        trained = any(event.attempt == last.attempt for event in self.ledger.events(TrainingBegan))
        if last.exit_code not in CRASHES or not trained or attempts > (retries := self._retries()):
            return False
        self.ledger.append(Retried(attempt=last.attempt, retry=attempts, of=retries, reason=last.reason))
        self.ledger.append(Submitted(executor=self.executor.name, detach=True, launcher=ProcessIdentity.here()))
        return True

    def _retries(self) -> int:
        from cardrunner.launching.finish import frozen_card  # only a crash needs the card

        with contextlib.suppress(CardrunnerError):
            return frozen_card(self.folder).infra.retries
        return 0

    def _finish(self) -> int:
        from cardrunner.launching.finish import (
            finish_run,  # after the worker, so that it need not wait for these imports
        )

        return finish_run(self.folder, progress=self.finishing).exit_code

    @contextlib.contextmanager
    def _handling(self) -> Iterator[None]:
        before: dict[int, Any] = {
            number: signal.signal(number, self._request) for number in (signal.SIGINT, signal.SIGTERM)
        }
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Pass a request on to the worker; without one it ends what is left, the results card last."""
        self.requests, self.asked = self.requests + 1, number
        if self.worker is not None:
            self.worker.send_signal(number if self.requests < _PATIENCE else signal.SIGKILL)
        else:
            self.finishing.end(number)


class _Finishing(NullProgress):
    """Tells what is left, and ends it when asked to: a long stage at once, the results card if asked again."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._in_long, self._asked = False, 0

    def stage(self, name: str) -> None:
        """Say which stage began, unless somebody asked to end meanwhile."""
        long = registry.is_long_stage(name)
        if long and self._asked:
            raise signal_error(self._asked)
        super().stage(name)
        self._in_long = long

    def end(self, number: int) -> None:
        """Somebody asked."""
        again, self._asked = bool(self._asked), number
        if again or self._in_long:
            raise signal_error(number)


def _entry(arguments: list[str]) -> int:
    with hiding_streams():
        try:
            executor = cast("SupervisedExecutor", registry.executor(arguments[1]))
            return Supervisor(RunFolder(Path(arguments[0])), executor).run()
        except CardrunnerError as error:
            sys.stderr.write(f"{error}\n")  # the executor keeps it in the log
            return error.exit_code


if __name__ == "__main__":
    raise SystemExit(_entry(sys.argv[1:]))
