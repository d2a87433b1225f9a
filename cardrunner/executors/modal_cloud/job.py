"""A call on Modal as a job, found from its run folder by any shell and any machine."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import modal
from modal import exception
from pydantic import ValidationError

from cardrunner.common.clock import utc_now
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import NAME
from cardrunner.executors.modal_cloud.advice import advised, words
from cardrunner.executors.modal_cloud.attempt import ContainerEnd
from cardrunner.executors.modal_cloud.volumes import Mirror, VolumeFolder
from cardrunner.runs.environment import python_command
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import AttemptEnded, AttemptStarted, ContainerStarted, JobStarted, Submitted
from cardrunner.runs.files import is_locked, locked
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.records import RemoteRun, read_record, write_record

_FIRST_PACE, _SLOWEST_PACE = 0.3, 5.0
"""Seconds between requests to Modal: short at first and after news, then growing."""
_CLI_SECONDS = 60
_LOG_LINES = 200
CallEnd = tuple[str, int | None]
"""A sentence about the end, and the exit code if a container returned one."""


@dataclass
class ModalJob:
    """The newest submission of a run.

    Args:
        folder: the local run folder, with its ``elsewhere.json``.
    """

    folder: RunFolder

    def __post_init__(self) -> None:
        record = self.record
        self.volume_folder = VolumeFolder(modal.Volume.from_name(record.volume), record.path)
        self._mirror = Mirror(self.folder, self.volume_folder)
        self._pace, self._looked = _FIRST_PACE, -_SLOWEST_PACE

    @property
    def record(self) -> RemoteRun:
        """The record of the remote run."""
        return read_record(self.folder.remote_run, RemoteRun)

    @property
    def id(self) -> str:
        """``modal:APP:CALL``; the call is empty while it is unknown."""
        record = self.record
        return f"{NAME}:{record.app or ''}:{record.call or ''}"

    def sync(self) -> None:
        """Download the run's records and ask Modal about the call, unless that was done just now.

        Raises:
            EnvironmentFailed: Modal cannot be reached now.
        """
        if time.monotonic() - self._looked < self._pace or self._is_complete():
            return
        before = Ledger(self.folder.ledger).path.stat().st_size
        with advised(f"look at the run {self.folder.name} on Modal"):
            self._update()
        news = Ledger(self.folder.ledger).path.stat().st_size > before
        self._pace = _FIRST_PACE if news else min(self._pace * 1.5, _SLOWEST_PACE)
        self._looked = time.monotonic()

    def _is_complete(self) -> bool:
        """Whether the run is over and its records are here, so that there is nothing to ask."""
        last = Ledger(self.folder.ledger).last(Submitted, AttemptStarted, AttemptEnded)
        return not self.record.live and isinstance(last, AttemptEnded) and last.state == "completed"

    def running(self) -> bool:
        """Whether the call was alive at the last `sync`."""
        return self.record.live

    def wait(self) -> int:
        """Wait for the end; the exit code of the last container, or that of a lost worker."""
        while self.running():
            self.sync()
            time.sleep(_FIRST_PACE)
        code = self.record.exit_code
        return EnvironmentFailed.exit_code if code is None else code

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Ask the worker to save and end; with SIGKILL, end its container without saving.

        Raises:
            EnvironmentFailed: Modal cannot be reached.
        """
        with advised(f"stop the run {self.folder.name} on Modal"):
            if signal_number != signal.SIGKILL:
                self.volume_folder.write(self.folder.stop_request.name, b"{}\n")
            elif (call := self.record.call) is not None:
                modal.FunctionCall.from_id(call).cancel(terminate_containers=True)
            elif (app := self.record.app) is not None:
                _modal_command("app", "stop", app, "--yes")
        self._pace, self._looked = _FIRST_PACE, -_SLOWEST_PACE

    # ---------------------------------------------------------------- updates

    def _update(self) -> None:
        """Ask about the call first: once it is over, the records on the volume are complete."""
        ending = self._ending()
        self._mirror.pull()
        call = self.record.call
        self._find_call()
        if self.record.call != call:
            ending = self._ending()
        if ending is not None and not Ledger(self.folder.ledger).events(AttemptStarted):
            self._keep_platform_log()
        words, code = ending or (None, None)
        update_record(self.folder, live=ending is None, ending=words, exit_code=code, seen=utc_now())

    def _find_call(self) -> None:
        """Find the newest call in the containers' events.

        The client may have died before it recorded the call, or another machine may have resumed the run.
        """
        record = self.record
        said = Ledger(self.folder.ledger).events(ContainerStarted, JobStarted)
        ours = [event for event in said if _is_of(event, record)]
        newest = next((event for event in reversed(said) if isinstance(event, ContainerStarted)), None)
        if newest is None or (newest not in ours and (not ours or said.index(newest) < said.index(ours[-1]))):
            return
        if newest.call != record.call:
            known = {"submission": newest.submission, "app": newest.app, "call": newest.call}
            update_record(self.folder, **known, live=True, ending=None, exit_code=None)

    def _ending(self) -> CallEnd | None:
        """How the call ended; None while it is alive."""
        record = self.record
        if record.call is not None:
            return _ending_of(record.call)
        if is_locked(self.folder.submitting):
            return None
        if record.app is None:
            return "the client that launched it ended before anything was started", None
        if _app_lives(record.app):
            return None
        return "the client that launched it ended before it was started, or Modal stopped it", None

    def _keep_platform_log(self) -> None:
        """Keep Modal's log of a container that ended before it wrote its own."""
        call = self.record.call
        if call is None or self.folder.log.exists():
            return
        with contextlib.suppress(exception.Error):
            lines = [entry.message for entry in modal.FunctionCall.from_id(call).logs.tail(_LOG_LINES)]
            self.folder.log.write_text("from Modal's own log:\n" + "".join(lines), encoding="utf-8")


def _is_of(event: Event, record: RemoteRun) -> bool:
    """Whether an event belongs to the recorded submission."""
    match event:
        case JobStarted():
            return record.call is not None and event.id.endswith(f":{record.call}")
        case ContainerStarted():
            return event.submission == record.submission
    return False


def update_record(folder: RunFolder, **changes: Any) -> None:
    """Change the record of a remote run, under a lock that other shells honour."""
    with locked(folder.mirror_lock):
        write_record(folder.remote_run, read_record(folder.remote_run, RemoteRun).model_copy(update=changes))


def _ending_of(call: str) -> CallEnd | None:
    """How a call ended; None while it has not."""
    try:
        result: Any = modal.FunctionCall.from_id(call).get(timeout=0)
    except exception.FunctionTimeoutError:
        return "the timeout ended the last attempt that Modal makes", None
    except exception.NotFoundError:
        return "Modal does not know the call any more", None
    except exception.OutputExpiredError:
        return "it ended so long ago that Modal has forgotten how", None
    except (TimeoutError, exception.TimeoutError):
        return None
    except exception.RemoteError as error:
        return f"cancelled, or its container was lost: {words(error)}", None
    except (exception.Error, ConnectionError):
        raise
    except Exception as error:  # the last attempt may have raised anything
        return f"no attempts are left: {words(error)}", None
    try:
        outcome = ContainerEnd.model_validate(result)
    except ValidationError:
        return "it returned something that is not a result of cardrunner", None
    return outcome.reason or outcome.state, outcome.exit_code


def _app_lives(app: str) -> bool:
    """Whether an app may be running; the SDK has no public call for that."""
    rows: list[dict[str, object]] = json.loads(_modal_command("app", "list", "--json") or "[]")
    row: dict[str, object] = next((row for row in rows if app in row.values()), {})
    return any("detached" in str(value).lower() or "initializing" in str(value).lower() for value in row.values())


def _modal_command(*words: str) -> str:
    """The output of Modal's own command.

    Raises:
        EnvironmentFailed: it failed.
    """
    try:
        done = subprocess.run(
            python_command("modal", *words), capture_output=True, text=True, timeout=_CLI_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFailed(
            f"`modal {' '.join(words)}` took over {_CLI_SECONDS} s; look at status.modal.com"
        ) from None
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise EnvironmentFailed(f"`modal {' '.join(words)}` failed: {told[-1] if told else 'it printed nothing'}")
    return done.stdout
