"""The state of a run, derived from its folder and its lease whenever it is asked for."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cardrunner.common.clock import utc_seconds
from cardrunner.errors import CardrunnerError, EnvironmentFailed, IntegrityError
from cardrunner.runs.attempts import Attempt, TrackerState, read_attempts, stopped_by_rule, tracker_states
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import (
    AttemptEnded,
    AttemptStarted,
    Created,
    Finished,
    Finishing,
    LastHeard,
    ResumePoint,
    Retried,
    StageEnded,
    StageStarted,
    Submitted,
)
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.heartbeat import read_heartbeat, silence_warning
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.lease import LeaseBody, is_live, is_supervised, read_lease
from cardrunner.runs.ledger import E, Ledger
from cardrunner.runs.outcome import has_retries, metered_cost, spent_budget
from cardrunner.runs.records import STATE, LaunchRecord, Manifest, R, Record, RemoteRun, State, TrainRecord, find_record

START_SECONDS = 60.0
"""How long a submitted worker may take to hold its lease before it counts as lost, unless its executor says."""
SUBMIT_SECONDS = 10.0
"""How long after its folder was made a run may still be unsubmitted, before its launch counts as broken."""
HANDOVER_SECONDS = 1.5
"""How long the supervisor of a launch that has ended may take to hold its lock, before the run counts as lost."""
LIVE_STATES: frozenset[State] = frozenset({"starting", "running"})
CRASHES = frozenset({CardrunnerError.exit_code, EnvironmentFailed.exit_code})
"""Exit codes after which another attempt may succeed: a bug, the environment, a killed worker."""
ACKNOWLEDGE = "--acknowledge"
"""The option that appears in the reason of an end that waits for people."""
LOST_EXIT_CODE = EnvironmentFailed.exit_code
"""The exit code of a worker that died without recording its end."""


class Status(Record):
    """The state of a run, as `cardrunner status --json` prints it."""

    run: str
    workload: str
    state: State
    stage: str | None
    epoch: int
    step: int
    """Of the newest row; a run that ended goes on from `last_durable_step`."""
    last_durable_step: int | None
    card_digest: str
    signed_by: tuple[str, ...]
    attempts: int
    resumed_from: ResumePoint | None
    reason: str | None
    metrics: dict[str, float]
    best: dict[str, Any]
    cost_usd: float | None
    projected_seconds: float | None
    """The projected seconds of all attempts at the end of training, as the last attempt saw it; None before its first
    row, and once the run is completed."""
    projected_cost_usd: float | None
    started: str
    updated: str
    weights_sha256: str | None
    results: str | None
    trackers: tuple[TrackerState, ...] = ()
    """The last report of each tracker: name, state, mode, id, where, later."""
    next: str | None = None
    """The next command to run; None if there is nothing left to do."""
    warning: str | None = None
    """A warning to show while it runs."""
    damage: tuple[str, ...] = ()
    """What is torn, missing, changed or unsealed in the run folder, a line for each file; empty until examined."""
    reported: bool = False
    """Whether the metrics are what a script reported, which no part of this package measured."""

    @property
    def live(self) -> bool:
        """True while the run starts or runs."""
        return self.state in LIVE_STATES


def derive_status(folder: RunFolder, *, now: float | None = None, supervising: bool = False) -> Status:
    """Derive the state of a run from its folder.

    Args:
        folder: the run.
        now: seconds since 1970; by default the present.
        supervising: the caller supervises the run and will start no further worker.

    Raises:
        IntegrityError: ``launch.json`` is missing or broken.
    """
    found = _FolderState(folder, time.time() if now is None else now, supervising)
    state, reason = found.state
    launch, train, row = found.launch, found.train, found.newest
    validation = next((row for row in reversed(found.rows) if row.kind == "validation"), None)
    cost = metered_cost(folder, found.seconds)
    return Status(
        run=folder.name,
        workload=launch.workload,
        state=state,
        stage=found.stage,
        epoch=row.epoch if row else 0,
        step=row.step if row else 0,
        last_durable_step=max((entry.step for entry in found.manifest.entries if STATE in entry.roles), default=None),
        card_digest=launch.card_digest,
        signed_by=launch.signed_by,
        attempts=len(found.attempts),
        resumed_from=found.attempts[-1].resumed_from if found.attempts else None,
        reason=reason,
        metrics=validation.metrics if validation else {},
        reported=bool(row and row.reported),
        best=train.best.model_dump() if train and train.best else {},
        cost_usd=cost,
        projected_seconds=found.projection.projected_seconds if found.projection else None,
        projected_cost_usd=found.projection.projected_cost_usd if found.projection else None,
        started=launch.created,
        updated=found.updated,
        weights_sha256=train.weights_sha256 if train else None,
        results=str(folder.results) if folder.results.exists() else None,
        trackers=tracker_states(found.events),
        next=_next(
            folder.name, state, finished=found.finished, asks=found.asks, spent=spent_budget(folder, cost) is not None
        ),
        warning=silence_warning(folder.name, found.silence),
    )


def _next(run: str, state: State, *, finished: bool, asks: bool, spent: bool) -> str | None:
    if state in LIVE_STATES:
        return f"cardrunner attach {run}"
    if state == "completed" or spent:
        return None if finished else f"cardrunner finish {run}"
    return f"cardrunner resume {run}" + (f' {ACKNOWLEDGE} "why it may go on"' if asks else "")


def metered_seconds(folder: RunFolder) -> float:
    """Seconds of all attempts so far."""
    return _FolderState(folder, time.time()).seconds


def seconds_before(folder: RunFolder, attempt: int) -> float:
    """Seconds of the attempts before one."""
    earlier = (known for known in _FolderState(folder, time.time()).attempts if known.number < attempt)
    return sum(known.seconds for known in earlier)


def last_heard(folder: RunFolder) -> LastHeard | None:
    """The last sign of life of a newest attempt that recorded no end, unless it is recorded; the run must not be live.

    The next attempt records it before it cuts the history and takes the lease, which hold the signs.
    """
    state = _FolderState(folder, time.time())
    last = state.attempts[-1] if state.attempts else None
    if last is None or last.ended is not None or any(event.of == last.number for event in state.of(LastHeard)):
        return None
    return LastHeard(of=last.number, heartbeat=last.last_sign)


def is_here(folder: RunFolder) -> bool:
    """Whether the last worker runs on this machine, so that its times can be compared with the present."""
    body = read_lease(folder)
    return body is None or body.host == socket.gethostname()


def last_exit_code(folder: RunFolder) -> int:
    """The exit code of the last attempt; `LOST_EXIT_CODE` if it recorded none."""
    event = Ledger(folder.ledger).last(AttemptStarted, AttemptEnded)
    if isinstance(event, AttemptEnded):
        return event.exit_code
    word = last_word(folder, event) if isinstance(event, AttemptStarted) else None
    return LOST_EXIT_CODE if word is None or word.exit_code is None else word.exit_code


def last_word(folder: RunFolder, started: AttemptStarted) -> LeaseBody | None:
    """How an attempt ended whose worker could tell that to nothing but its lease; None where it did not."""
    body = read_lease(folder)
    if body is None or body.state is None or (body.pid, body.host) != (started.pid, started.host):
        return None
    return body


@dataclass(frozen=True)
class _FolderState:
    """The content of a run folder at one time, read on demand, and what follows from it."""

    folder: RunFolder
    now: float
    supervising: bool = False

    @cached_property
    def live(self) -> bool:
        return is_live(self.folder)

    @cached_property
    def remote_run(self) -> RemoteRun | None:
        return find_record(self.folder.remote_run, RemoteRun)

    @cached_property
    def events(self) -> Sequence[Event]:
        _ = self.live  # read first: a worker that ends after that has its end in the events
        return Ledger(self.folder.ledger).events()

    @cached_property
    def rows(self) -> Sequence[HistoryRow]:
        return History(self.folder.history).rows()

    @cached_property
    def launch(self) -> LaunchRecord:
        found = find_record(self.folder.launch, LaunchRecord)
        if found is None:
            raise IntegrityError(f"{self.folder.launch} is missing; {self.folder.root} is not a run folder")
        return found

    @cached_property
    def train(self) -> TrainRecord | None:
        return self._readable("train", TrainRecord)

    @cached_property
    def manifest(self) -> Manifest:
        try:
            return find_record(self.folder.manifest, Manifest) or Manifest()
        except IntegrityError:
            return Manifest()

    @property
    def newest(self) -> HistoryRow | None:
        return self.rows[-1] if self.rows else None

    @cached_property
    def attempts(self) -> tuple[Attempt, ...]:
        return read_attempts(self.events, rows=self.rows, lease=read_lease(self.folder))

    @property
    def finished(self) -> bool:
        """Whether the run was finished after its last worker ended."""
        turns = self.of(AttemptEnded, Finished)
        return bool(turns) and isinstance(turns[-1], Finished) and turns[-1].problem is None

    @property
    def asks(self) -> bool:
        """Whether a resume needs an acknowledgement."""
        state, reason = self.state
        return state == "investigate" or stopped_by_rule(self.events) or ACKNOWLEDGE in (reason or "")

    @property
    def stage(self) -> str | None:
        stages = self.of(StageStarted)
        return stages[-1].stage if stages else None

    @cached_property
    def state(self) -> tuple[State, str | None]:
        """The state and its reason."""
        latest = next(reversed(self.of(Created, Submitted, AttemptStarted, AttemptEnded)), None)
        if latest is None:
            return "failed", "the launch broke off before anything began"
        if isinstance(latest, AttemptEnded):
            return self._between(latest) or self._undecided(latest) or (latest.state, self._reason(latest))
        if not isinstance(latest, AttemptStarted):
            return self._before_the_worker(latest)
        if self.live:
            return ("running" if self._has_stages(latest.attempt) else "starting"), None
        if self.remote_run is not None and self.remote_run.exit_code is not None:
            return "failed", self.remote_run.ending
        word = last_word(self.folder, latest)
        ended = (word.state, word.reason) if word is not None and word.state is not None else None
        return self._undecided(latest) or ended or ("interrupted", self._lost())

    @property
    def seconds(self) -> float:
        """Seconds of all attempts. A live one counts until now, a lost one until its last sign of life."""
        known = sum(attempt.seconds for attempt in self.attempts)
        if self.attempts and self.live and self.attempts[-1].ended is None:
            last = self.attempts[-1]
            return known - last.seconds + max(self._workers_now(last) - utc_seconds(last.started), 0.0)
        return known

    @property
    def projection(self) -> Clock | None:
        """The newest projection; None once the run is completed, and until the last attempt has made one."""
        clock = self.newest.clock if self.newest and self.state[0] != "completed" else None
        current = clock is not None and clock.attempt in (None, len(self.attempts))
        return clock if current else None

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life of training; 0 unless an attempt trains now."""
        latest = next(reversed(self.of(StageStarted, StageEnded)), None)
        if self.state[0] != "running" or not isinstance(latest, StageStarted) or latest.stage != "train":
            return 0.0
        signs, attempt, beat = [latest.at], self.attempts[-1].number, read_heartbeat(self.folder.heartbeat)
        signs += [beat.at] if beat is not None and beat.attempt == attempt else []
        signs += [row.clock.at for row in self.rows[-1:] if row.clock.attempt == attempt]
        return self._workers_now(self.attempts[-1]) - utc_seconds(max(signs))

    @property
    def updated(self) -> str:
        body = read_lease(self.folder)
        times = [event.at for event in self.events[-1:]]
        times += [row.clock.at for row in self.rows[-1:]] + ([body.heartbeat] if body else [])
        return max(times, default=self.launch.created)

    def _workers_now(self, attempt: Attempt) -> float:
        """The present by the clock of a live worker: on another machine, whose clock may differ, its last sign."""
        return self.now if is_here(self.folder) else utc_seconds(attempt.last_sign)

    def _has_stages(self, attempt: int) -> bool:
        return any(event.attempt == attempt for event in self.of(StageStarted))

    def _before_the_worker(self, latest: Event) -> tuple[State, str | None]:
        if self.remote_run is not None and not self.live:
            return "failed", self.remote_run.ending or "it was never started"
        submitted = isinstance(latest, Submitted)
        patience = (latest.start_seconds or START_SECONDS) if isinstance(latest, Submitted) else SUBMIT_SECONDS
        if self._lost_its_launch(latest):
            patience = HANDOVER_SECONDS
        if self.live or is_supervised(self.folder) or self.now - utc_seconds(latest.at) < patience:
            return "starting", self._retry()
        if not submitted:
            return "failed", "the launch broke off before anything began"
        return "failed", f"the worker never started; see `cardrunner logs {self.folder.name}`"

    def _lost_its_launch(self, latest: Event) -> bool:
        """Whether the process that launches the run has ended; what a platform was given goes on without it."""
        launcher = latest.launcher if isinstance(latest, Created | Submitted) else None
        return self.remote_run is None and launcher is not None and launcher.is_gone

    def _reason(self, ended: AttemptEnded) -> str | None:
        """Why an attempt ended; for an interrupted remote one, also why no other attempt followed."""
        reason = ended.reason
        if ended.state != "interrupted" or self.remote_run is None or self.remote_run.ending in (None, reason):
            return reason
        return f"{reason}; {self.remote_run.ending}"

    def _between(self, ended: AttemptEnded) -> tuple[State, str] | None:
        """The state between two attempts that a platform makes by itself."""
        if self.remote_run is None or not self.live or ended.state not in ("interrupted", "timed_out", "failed"):
            return None
        return "starting", f"attempt {ended.attempt} ended ({ended.reason}), the next one is on its way"

    def _undecided(self, latest: AttemptStarted | AttemptEnded) -> tuple[State, str] | None:
        """The state after a crash, until the supervisor has decided about another attempt."""
        ended = latest if isinstance(latest, AttemptEnded) else None
        crashed = ended is None or ended.exit_code in CRASHES
        if not crashed or self.supervising or not is_supervised(self.folder) or not has_retries(self.folder):
            return None
        turns = self.of(AttemptStarted, AttemptEnded, Finishing)
        if self.remote_run is not None or isinstance(turns[-1], Finishing):
            return None
        why = f" ({ended.reason})" if ended is not None and ended.reason else ""
        return "starting", f"attempt {latest.attempt} crashed{why}; its supervisor may start another one"

    def _retry(self) -> str | None:
        """The retry that was submitted last; None if the last submission was no retry."""
        match self.of(Retried, Submitted)[-2:]:
            case [Retried() as retried, Submitted()]:
                return f"retry {retried.count}"
        return None

    def _lost(self) -> str:
        body = read_lease(self.folder)
        heard = f" after {body.heartbeat}" if body else ""
        if self.remote_run is not None:
            return f"no sign of life from the worker{heard}: {self.remote_run.ending}"
        return f"the worker ended without a word{heard}: killed, or the machine went down"

    def of(self, *kinds: type[E]) -> list[E]:
        """The events of some kinds, oldest first."""
        return [event for event in self.events if isinstance(event, kinds)]

    def _readable(self, stage: str, kind: type[R]) -> R | None:
        try:
            return find_record(self.folder.record(stage), kind)
        except IntegrityError:
            return None
