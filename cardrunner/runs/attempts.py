"""The attempts of a run, as the ledger tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from cardrunner.clock import utc_seconds
from cardrunner.runs.history import HistoryRow
from cardrunner.runs.lease import LeaseBody
from cardrunner.runs.ledger import Event
from cardrunner.runs.records import Environment

BEGAN_VARIABLE = "CARDRUNNER_BEGAN"
"""Set for a worker that something has made ready, such as a container: when that began, in seconds since 1970. The
attempt's time and cost count from then."""


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """A stage of an attempt; `ok` is None when its end was never recorded."""

    name: str
    seconds: float | None = None
    ok: bool | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One life of the worker."""

    number: int
    started: str
    executor: str | None
    host: str | None
    resumed_from: Mapping[str, Any] | None
    environment: Environment | None
    stages: tuple[StageRun, ...]
    last_sign: str
    """When it was last heard of: by the ledger, by the history, or by the heartbeat of its lease."""
    data: str | None = None
    """The digest of its data."""
    peak_memory: int | None = None
    """Bytes of memory that the largest of its processes used."""
    ended: str | None = None
    """None when it died without recording an end, or still lives."""
    state: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    recorded_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took; for one that recorded no end, until it was last heard of."""
        return self.recorded_seconds if self.recorded_seconds is not None else _between(self.started, self.last_sign)


def read_attempts(
    events: Sequence[Event], *, rows: Sequence[HistoryRow] = (), lease: LeaseBody | None = None
) -> tuple[Attempt, ...]:
    """Group the events of a ledger by attempt.

    Args:
        events: the ledger, oldest first.
        rows: the history, whose clocks say when an attempt was still at work.
        lease: what the last writer of the run said of itself; its heartbeat extends the last attempt, if it was that.
    """
    signs: dict[int, str] = {
        event["of"]: str(event.get("heartbeat")) for event in events if event.get("event") == "last_heard"
    }
    for row in rows:
        if row.clock.attempt is not None:
            signs[row.clock.attempt] = max(row.clock.at, signs.get(row.clock.attempt, ""))
    numbers = [event["attempt"] for event in events if event.get("event") == "attempt_started"]
    attempts = tuple(
        _attempt(number, [event for event in events if event.get("attempt") == number], signs.get(number, ""))
        for number in numbers
    )
    last = attempts[-1] if attempts else None
    if last is None or lease is None or lease.started > last.last_sign:
        return attempts
    return (*attempts[:-1], replace(last, last_sign=max(last.last_sign, lease.heartbeat)))


def _attempt(number: int, events: Sequence[Event], sign: str) -> Attempt:
    start = next(event for event in events if event.get("event") == "attempt_started")
    end = next((event for event in events if event.get("event") == "attempt_ended"), {})
    return Attempt(
        number=number,
        started=str(start.get("began") or start.get("at")),
        executor=start.get("executor"),
        host=start.get("host"),
        resumed_from=_resumed_from(start, events),
        environment=_environment(start.get("environment")),
        stages=_stages(events),
        last_sign=max(sign, *(str(event.get("at")) for event in events)),
        data=next((event.get("digest") for event in events if event.get("event") == "data_opened"), None),
        peak_memory=end.get("peak_memory_bytes"),
        ended=end.get("at"),
        state=end.get("state"),
        reason=end.get("reason"),
        exit_code=end.get("exit_code"),
        recorded_seconds=end.get("seconds"),
    )


def _resumed_from(start: Event, events: Sequence[Event]) -> Mapping[str, Any] | None:
    """What the train stage really loaded first; what the worker meant to load, where it never got that far."""
    meant: Mapping[str, Any] | None = start.get("resumed_from")
    loaded = next((event for event in events if event.get("event") == "resumed"), None)
    if meant is None or loaded is None:  # a run that began may load its own states later, as a restart does
        return meant
    return {name: loaded.get(name) for name in ("file", "epoch", "step")}


def _stages(events: Sequence[Event]) -> tuple[StageRun, ...]:
    found: dict[str, StageRun] = {}
    for event in events:
        name = str(event.get("stage"))
        if event.get("event") == "stage_started":
            found[name] = StageRun(name=name)
        elif event.get("event") == "stage_ended":
            found[name] = StageRun(
                name=name, seconds=event.get("seconds"), ok=event.get("ok"), error=event.get("error")
            )
    return tuple(found.values())


def _environment(value: object) -> Environment | None:
    try:
        return Environment.model_validate(value)
    except ValidationError:
        return None


def _between(start: str, end: str) -> float:
    try:
        return max(0.0, utc_seconds(end) - utc_seconds(start))
    except ValueError:
        return 0.0


def stopped_by_rule(events: Sequence[Event]) -> bool:
    """Whether the newest attempt was stopped by a kill threshold, or by what it was projected to cost or to take.

    Args:
        events: of a run, oldest first.
    """
    began = max((at for at, event in enumerate(events) if event.get("event") == "attempt_started"), default=0)
    last: Event | None = None
    told: list[Event] = []
    for event in events[began:]:
        match event.get("event"):
            case "attempt_ended":
                last = event
            case "restarted":
                told.clear()
            case "verdict" | "projected_overrun" if not event.get("moot"):
                told.append(event)
    ends = any(
        event.get("action") == "stop" or (event["event"] == "verdict" and event.get("action") == "restart")
        for event in told
    )
    return last is not None and last.get("state") == "stopped" and ends
