"""The supervisor of a local run, in its own session: starts the workers, waits for them and finishes the run.

``python -m cardrunner.launching.supervisor EXECUTOR FOLDER [WORKSPACE]`` outlives the shell that launched the run. It
passes requests to stop on to the worker, records the end of a worker that died, ends a worker that exceeds its timeout
or budget, starts another after a crash as ``infra.retries`` allows, and finishes the run: download, demo, results card.
The workspace is the one whose rules judge the run, at every attempt.
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
from cardrunner.common.redaction import hiding_streams
from cardrunner.contracts import SupervisedExecutor, runs_itself
from cardrunner.errors import CardrunnerError, EnvironmentFailed, PluginFailed
from cardrunner.launching.losses import append_end, record_loss
from cardrunner.plugins import blamed_plugin
from cardrunner.runs import outcome as overdue
from cardrunner.runs.events import AttemptEnded, Resumed, Retried, Submitted, TrainingBegan
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.interrupts import signal_error
from cardrunner.runs.kept_folder import check_in_place
from cardrunner.runs.lease import Lease
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.memory_kills import MemoryKills
from cardrunner.runs.process_identity import ProcessIdentity
from cardrunner.runs.records import LaunchRecord, read_record
from cardrunner.runs.status import CRASHES, metered_seconds
from cardrunner.tracking.progress import NullProgress

if TYPE_CHECKING:
    from cardrunner.training.budget import RunLimits

_PATIENCE = 3
"""The number of requests to stop after which the worker is killed."""


class Supervisor:
    """Supervises a run from one submission to its end.

    Args:
        folder: the run.
        executor: starts the worker of every attempt.
    """

    def __init__(self, folder: RunFolder, executor: SupervisedExecutor) -> None:
        self.folder, self.executor, self.ledger = folder, executor, Ledger(folder.ledger)
        self.worker: subprocess.Popen[bytes] | None = None
        self.requests = 0
        self.asked: int | None = None
        self.finishing = _Finishing()

    def run(self) -> int:
        """Run attempts until the run is over, and finish it.

        Returns:
            the run's exit code.

        Raises:
            NameTaken: another supervisor has the run.
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
        if self.asked is not None:  # a request came while it was starting
            self.worker.send_signal(self.asked)
        code = self._waited(self.worker)
        self.worker = None
        if code < 0:
            self._end_left()
        record_loss(self.folder, code if code >= 0 else 128 - code, out_of_memory=kills.happened)

    def _end_left(self) -> None:
        """End the processes that a killed worker has left behind, where its workload starts some."""
        if not self.folder.script_state.exists():
            return  # the built-in loop has none that outlive it
        with contextlib.suppress(CardrunnerError):
            workload = registry.workload(read_record(self.folder.launch, LaunchRecord).workload)
            if (itself := runs_itself(workload)) is not None:
                itself.end_left(self.folder)

    def _waited(self, worker: subprocess.Popen[bytes]) -> int:
        """Wait for a worker, at most until its limits; its exit code. Imports what `_finish` needs while it waits."""
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

    def _limits(self, seconds: float) -> RunLimits | None:
        """The limits of a worker after `seconds`; None for an unreadable card, which the worker reports itself."""
        from cardrunner.launching.finish import frozen_card
        from cardrunner.training.budget import RunLimits

        with contextlib.suppress(CardrunnerError):
            metered = max(metered_seconds(self.folder), seconds)
            return RunLimits.of(frozen_card(self.folder), attempt_seconds=seconds, metered_seconds=metered)
        return None

    def _ended(self, worker: subprocess.Popen[bytes], limits: RunLimits) -> int:
        """End a worker that has passed a limit; its exit code."""
        if (limit := limits.passed()) is not None:
            with contextlib.suppress(EnvironmentFailed):  # a full disk must not keep it running
                overdue.record_overdue(self.folder, limit)
        if not self.requests:  # a second request would interrupt the saving
            worker.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return worker.wait(overdue.GRACE_SECONDS)
        worker.kill()
        return worker.wait()

    def _tries_again(self, attempts: int) -> bool:
        """Whether to start another worker after a crash: the card allows it, and the crashed one had trained.

        One that had begun from a checkpoint counts too: the next may begin from an older one.
        """
        last = self.ledger.last(AttemptEnded)
        if last is None or self.requests or self.folder.stop_request.exists():
            return False
        trained = any(event.attempt == last.attempt for event in self.ledger.events(TrainingBegan, Resumed))
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
        """Pass a request to stop on to the worker; without a worker, end the finishing."""
        self.requests, self.asked = self.requests + 1, number
        if self.worker is not None:
            self.worker.send_signal(number if self.requests < _PATIENCE else signal.SIGKILL)
        else:
            self.finishing.end(number)


class _Finishing(NullProgress):
    """Shows the stages of finishing. A request ends a long stage at once; a second one also the results card."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._in_long, self._asked = False, 0

    def stage(self, name: str) -> None:
        """Show which stage began. A long stage does not begin after a request to stop."""
        long = registry.is_long_stage(name)
        if long and self._asked:
            raise signal_error(self._asked)
        super().stage(name)
        self._in_long = long

    def end(self, number: int) -> None:
        """Handle a request to stop.

        Args:
            number: the signal.
        """
        again, self._asked = bool(self._asked), number
        if again or self._in_long:
            raise signal_error(number)


def _entry(arguments: list[str]) -> int:
    with hiding_streams():
        try:
            name, folder, *workspace = arguments
            executor = cast("SupervisedExecutor", registry.executor(name))
            return Supervisor(RunFolder(Path(folder), *map(Path, workspace)), executor).run()
        except CardrunnerError as error:
            sys.stderr.write(f"{error}\n")  # the executor keeps it in the log
            return error.exit_code


if __name__ == "__main__":
    raise SystemExit(_entry(sys.argv[1:]))
