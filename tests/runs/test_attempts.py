from __future__ import annotations

from typing import Any

from cardrunner.runs.attempts import read_attempts
from cardrunner.runs.event_model import Event
from cardrunner.runs.lease import LeaseBody
from tests.ledger_lines import made


def at(second: int) -> str:
    return f"2026-03-01T09:00:{second:02d}.000Z"


def event(second: int, name: str, attempt: int = 1, **fields: Any) -> Event:
    return made(name, at=at(second), attempt=attempt, **fields)


def saved(second: int, attempt: int = 1) -> Event:
    return event(second, "checkpoint_saved", attempt, file="checkpoints/s.pt", step=8)


def lease(started: int, heartbeat: int) -> LeaseBody:
    return LeaseBody(pid=1, host="here", started=at(started), heartbeat=at(heartbeat))


def test_no_events_are_no_attempts() -> None:
    assert read_attempts([]) == ()


def test_an_attempt_with_an_end_took_what_it_recorded() -> None:
    end = event(30, "attempt_ended", state="failed", reason="no disk", exit_code=7, seconds=29.5)
    (attempt,) = read_attempts([event(0, "attempt_started", executor="local", host="here"), end])
    assert (attempt.seconds, attempt.state, attempt.reason, attempt.exit_code) == (29.5, "failed", "no disk", 7)


def test_an_attempt_without_an_end_lasts_until_it_was_last_heard_of() -> None:
    events = [event(0, "attempt_started"), saved(12)]
    assert read_attempts(events)[0].seconds == 12
    assert read_attempts(events, lease=lease(0, 20))[0].seconds == 20


def test_the_heartbeat_of_a_later_writer_does_not_count() -> None:
    events = [event(0, "attempt_started"), saved(12)]
    assert read_attempts(events, lease=lease(50, 59))[0].seconds == 12


def test_a_stage_that_was_started_again_shows_its_last_run() -> None:
    events = [
        event(0, "attempt_started"),
        event(1, "stage_started", stage="train"),
        event(2, "stage_ended", stage="train", seconds=1.0, ok=False, error="out of memory"),
        event(3, "stage_started", stage="train"),
    ]
    (stage,) = read_attempts(events)[0].stages
    assert (stage.name, stage.ok) == ("train", None)


def test_an_environment_that_cannot_be_read_is_left_out() -> None:
    (attempt,) = read_attempts([event(0, "attempt_started", environment={"python": 3})])
    assert attempt.environment is None


def test_an_attempt_that_was_lost_far_away_lasts_until_its_successor_says_it_was_heard_of() -> None:
    events = [
        event(0, "attempt_started"),
        saved(12),
        made("last_heard", at=at(40), of=1, heartbeat=at(25)),
        event(41, "attempt_started", attempt=2, began=at(38)),
        saved(50, attempt=2),
    ]
    assert [attempt.seconds for attempt in read_attempts(events)] == [25, 12]
