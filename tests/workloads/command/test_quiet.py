"""A script is stopped when it writes no checkpoint, and never too late."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st

from cardrunner.workloads.command.quiet import Look, Moment, Quiet, QuietTimes, Why, stop_begins, wait_for_quiet

TIMES = QuietTimes()
STEP = 0.1


@dataclass
class World:
    """A script with a fake clock: what changes at which second."""

    changes: list[float]
    rows: list[float]
    ends: float = float("inf")
    now: float = 100.0

    def look(self) -> Look:
        return Look(self._count(self.changes), self._count(self.rows))

    def _count(self, times: list[float]) -> int:
        return sum(100 + time <= self.now + 1e-9 for time in times)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def stop(self, *, deadline: float | None = None, guarded: bool = True) -> Moment:
        quiet = Quiet(self.now, self.look(), TIMES, deadline=deadline, guarded=guarded)
        return wait_for_quiet(quiet, self.look, self.ended, clock=lambda: self.now, sleep=self.sleep)

    def ended(self) -> bool:
        return self.now >= 100 + self.ends


@pytest.mark.parametrize(
    ("changes", "rows", "why", "waited"),
    [
        ([], [], Why.STILL, 10.0),
        ([], [0.3], Why.WENT_ON, 0.5),
        ([], [2.0], Why.WENT_ON, 2.0),
        ([0.1, 0.4, 0.9], [1.0], Why.WENT_ON, 1.4),
        ([0.1, 0.4, 0.9], [0.2], Why.WENT_ON, 1.4),
        ([9.0], [], Why.STILL, 19.0),
        ([0.4 * number for number in range(100)], [1.0], Why.LONGEST, 30.0),
    ],
)
def test_it_waits_until_the_checkpoints_are_quiet(
    changes: list[float], rows: list[float], why: Why, waited: float
) -> None:
    moment = World(changes, rows).stop()
    assert moment.why is why
    assert moment.waited == pytest.approx(waited, abs=STEP + 1e-6)


def test_a_person_who_asks_twice_is_obeyed_at_once() -> None:
    world = World([0.1], [])
    quiet = Quiet(world.now, world.look(), TIMES)
    assert quiet.look(world.now, world.look()) is None
    quiet.ask_again()
    moment = quiet.look(world.now + 0.5, world.look())
    assert moment == Moment(Why.AGAIN, 0.5)


def test_without_checkpoints_there_is_nothing_to_wait_for() -> None:
    assert World([], []).stop(guarded=False) == Moment(Why.UNGUARDED, 0.0)


def test_a_script_that_ends_meanwhile_is_not_asked() -> None:
    moment = World([], [], ends=2.0).stop()
    assert moment.why is Why.ENDED
    assert moment.waited == pytest.approx(2.0, abs=STEP)


def test_the_grace_is_reserved_before_a_limit() -> None:
    assert stop_begins(3600, grace=60, times=TIMES) == 3510
    assert stop_begins(20, grace=60, times=TIMES) == 0
    moment = World([0.3 * number for number in range(100)], []).stop(deadline=105.0)
    assert moment.why is Why.DEADLINE
    assert moment.waited == pytest.approx(5, abs=STEP)


def test_the_ledger_can_say_how_long_it_waited() -> None:
    assert str(Moment(Why.WENT_ON, 2.24)) == (
        "asked to end 2.2s after the verdict: it had gone on, and no checkpoint was being written"
    )


Times = st.lists(st.integers(0, 400).map(lambda tenths: tenths / 10), max_size=40)


@given(Times, Times, st.none() | st.integers(0, 400).map(lambda tenths: 100 + tenths / 10))
def test_it_never_waits_too_long_and_never_stops_within_a_change(
    changes: list[float], rows: list[float], deadline: float | None
) -> None:
    moment = World(changes, rows).stop(deadline=deadline)
    last = max((time for time in changes if 0 < time <= moment.waited + 1e-6), default=0.0)
    unchanged = moment.waited - last
    latest = TIMES.longest if deadline is None else min(TIMES.longest, deadline - 100)
    assert moment.waited <= latest + STEP + 1e-6
    match moment.why:
        case Why.WENT_ON:
            assert unchanged >= TIMES.settled - 2 * STEP
            assert any(0 < time <= moment.waited + 1e-6 for time in rows)
        case Why.STILL:
            assert unchanged >= TIMES.still - 2 * STEP
        case Why.LONGEST:
            assert moment.waited >= TIMES.longest
        case Why.DEADLINE:
            assert deadline is not None
            assert moment.waited >= deadline - 100 - 1e-6
        case other:
            raise AssertionError(other)


def test_a_validation_that_has_just_come_postpones_the_end_for_three_seconds_at_most() -> None:
    quiet = Quiet(0.0, Look("a", 8, 8), QuietTimes())
    assert quiet.look(0.4, Look("a", 12, 8)) is None
    assert quiet.look(0.6, Look("a", 16, 16)) is None, "its checkpoint is probably being written"
    assert quiet.look(0.8, Look("b", 16, 16)) is None
    assert quiet.look(1.2, Look("b", 17, 16)) is None
    moment = quiet.look(1.4, Look("b", 18, 16))
    assert moment is not None
    assert moment.why is Why.WENT_ON
    quiet = Quiet(0.0, Look("a", 1, 1), QuietTimes())
    told = [quiet.look(number / 4, Look("a", number + 1, number + 1)) for number in range(1, 14)]
    assert [moment is not None for moment in told].index(True) == 11, "one that validates at each step cannot wait"
