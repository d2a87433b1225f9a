"""The attempts of a run, derived from its ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import model_serializer

from cardrunner.common.clock import utc_seconds
from cardrunner.runs.event_model import Event
from cardrunner.runs.events import (
    TRACKER_TROUBLE,
    AttemptEnded,
    AttemptStarted,
    DataOpened,
    LastHeard,
    ProjectedOverrun,
    Restarted,
    Resumed,
    ResumePoint,
    RuleFired,
    StageEnded,
    StageStarted,
    TrackerSaid,
)
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.lease import LeaseBody
from cardrunner.runs.records import Environment, Record

BEGAN_VARIABLE = "CARDRUNNER_BEGAN"
"""The environment variable by which a container tells its worker when it began, in seconds since 1970. The attempt's
time and cost count from then."""


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """A stage of an attempt; `ok` is None if it recorded no end."""

    name: str
    seconds: float | None = None
    ok: bool | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt: a worker from its start to its end."""

    number: int
    started: str
    executor: str | None
    host: str | None
    resumed_from: ResumePoint | None
    environment: Environment | None
    stages: tuple[StageRun, ...]
    last_sign: str
    """The last sign of life: in the ledger, in the history, or the heartbeat of its lease."""
    data: str | None = None
    """The digest of its data."""
    peak_memory: int | None = None
    """Bytes of memory that its largest process used."""
    ended: str | None = None
    """None if it is alive, or died without recording its end."""
    state: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    recorded_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took; without a recorded end, until its last sign of life."""
        return self.recorded_seconds if self.recorded_seconds is not None else _between(self.started, self.last_sign)


def read_attempts(
    events: Sequence[Event], *, rows: Sequence[HistoryRow] = (), lease: LeaseBody | None = None
) -> tuple[Attempt, ...]:
    """Group the events of a ledger by attempt.

    Args:
        events: the ledger, oldest first.
        rows: the history, whose clocks are signs of life.
        lease: the newest lease; its heartbeat extends the last attempt, if that one wrote it.
    """
    signs = {event.of: event.heartbeat for event in events if isinstance(event, LastHeard)}
    for row in rows:
        if row.clock.attempt is not None:
            signs[row.clock.attempt] = max(row.clock.at, signs.get(row.clock.attempt, ""))
    attempts = tuple(
        _attempt(start, [event for event in events if event.attempt == start.attempt], signs.get(start.attempt, ""))
        for start in events
        if isinstance(start, AttemptStarted)
    )
    last = attempts[-1] if attempts else None
    if last is None or lease is None or lease.started > last.last_sign:
        return attempts
    return (*attempts[:-1], replace(last, last_sign=max(last.last_sign, lease.heartbeat)))


def _attempt(start: AttemptStarted, events: Sequence[Event], sign: str) -> Attempt:
    end = next((event for event in events if isinstance(event, AttemptEnded)), None)
    return Attempt(
        number=start.attempt,
        started=start.since,
        executor=start.executor,
        host=start.host,
        resumed_from=_resumed_from(start, events),
        environment=start.environment,
        stages=_stages(events),
        last_sign=max(sign, *(event.at for event in events)),
        data=next((event.digest for event in events if isinstance(event, DataOpened)), None),
        peak_memory=end.peak_memory_bytes if end else None,
        ended=end.at if end else None,
        state=end.state if end else None,
        reason=end.reason if end else None,
        exit_code=end.exit_code if end else None,
        recorded_seconds=end.seconds if end else None,
    )


def _resumed_from(start: AttemptStarted, events: Sequence[Event]) -> ResumePoint | None:
    """The state that the train stage loaded first, or, before it did, the one that the worker meant to load."""
    loaded = next((event.point for event in events if isinstance(event, Resumed)), None)
    # a restart loads a state of the same attempt, which is not where the attempt began
    return loaded if start.resumed_from is not None and loaded is not None else start.resumed_from


def _stages(events: Sequence[Event]) -> tuple[StageRun, ...]:
    found: dict[str, StageRun] = {}
    for event in events:
        match event:
            case StageStarted():
                found[event.stage] = StageRun(name=event.stage)
            case StageEnded():
                found[event.stage] = StageRun(name=event.stage, seconds=event.seconds, ok=event.ok, error=event.error)
    return tuple(found.values())


def _between(start: str, end: str) -> float:
    try:
        return max(0.0, utc_seconds(end) - utc_seconds(start))
    except ValueError:
        return 0.0


def stopped_by_rule(events: Sequence[Event]) -> bool:
    """Whether the newest attempt was stopped by a kill threshold, or by its projected cost or time.

    Args:
        events: of a run, oldest first.
    """
    began = max((at for at, event in enumerate(events) if isinstance(event, AttemptStarted)), default=0)
    last: AttemptEnded | None = None
    told: list[RuleFired | ProjectedOverrun] = []
    for event in events[began:]:
        match event:
            case AttemptEnded():
                last = event
            case Restarted():
                told.clear()
            case RuleFired(moot=False) | ProjectedOverrun():
                told.append(event)
    ends = any(event.action == "stop" or (event.action == "restart" and isinstance(event, RuleFired)) for event in told)
    return last is not None and last.state == "stopped" and ends


class TrackerState(Record):
    """The last report of a tracker, with its newest place and id. JSON leaves out fields that it never reported."""

    message: str | None = None
    name: str
    state: str
    mode: str | None = None
    id: str | None = None
    where: str | None = None
    later: str | None = None

    @model_serializer
    def _plain(self) -> dict[str, str | None]:
        return {name: value for name, value in self if name in self.model_fields_set}

    @property
    def trouble(self) -> str | None:
        """What went wrong, as a phrase; None if it tracks, or tracked to the end."""
        return TRACKER_TROUBLE.get(self.state)


def tracker_states(events: Sequence[Event]) -> tuple[TrackerState, ...]:
    """The state of each tracker, in the order of their first reports."""
    found: dict[str, TrackerState] = {}
    for event in events:
        if isinstance(event, TrackerSaid):
            earlier = found[event.name].model_dump() if event.name in found else {"message": None}
            said = {name: value for name, value in event.given().items() if name in TrackerState.model_fields}
            found[event.name] = TrackerState.model_validate(earlier | said)
    return tuple(found.values())
