"""What is asked for between two steps, and that several processes see it at the same one."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cardrunner.runs.interrupts import StopRequest
from cardrunner.training.budget import RunLimits
from cardrunner.training.group import ProcessGroup
from cardrunner.training.watch import NOTHING, Asked, Watch

NO_LIMITS = RunLimits(None, None, ("", ""))


class Recording(ProcessGroup):
    """The leader of two, that notes when the two compare and what the other one says."""

    compared: list[list[int]]
    other: tuple[int, ...]

    def largest(self, values: Sequence[int]) -> list[int]:
        self.compared.append(list(values))
        return [max(pair) for pair in zip(values, self.other, strict=True)]


def two(*, rank: int = 0, other: tuple[int, ...] = (0, 0, 0, 0, 0)) -> Recording:
    group = Recording(rank=rank, world=2)
    vars(group).update(compared=[], other=other)
    return group


def test_one_process_looks_after_every_step() -> None:
    stop = StopRequest()
    watch = Watch(stop, NO_LIMITS, ProcessGroup())
    assert watch.poll() == NOTHING
    assert watch.poll(log=True) == Asked(log=True)
    stop.request("terminated")
    assert watch.poll(save=True) == Asked(save=True, reason="terminated")
    over = RunLimits(time.monotonic() - 1, None, ("late", ""))
    assert Watch(StopRequest(), over, ProcessGroup()).poll().over


def test_two_processes_compare_seldom_when_steps_are_fast_and_always_when_they_are_slow() -> None:
    group = two()
    watch = Watch(StopRequest(), NO_LIMITS, group)
    for _ in range(200):
        watch.poll()
    assert 5 <= len(group.compared) <= 20
    watch.restart()
    before = len(group.compared)
    for _ in range(2):
        time.sleep(0.3)
        watch.poll()
    assert len(group.compared) == before + 2


def test_a_request_that_reaches_any_process_is_seen_by_all() -> None:
    assert Watch(StopRequest(), NO_LIMITS, two(other=(2, 0, 0, 0, 0))).poll().reason == "terminated"


def test_only_the_leaders_clock_counts() -> None:
    follower = two(rank=1, other=(0, 0, 1, 0, 7))
    over = RunLimits(time.monotonic() - 1, None, ("late", ""))
    assert Watch(StopRequest(), over, follower).poll(log=True, save=True) == Asked(save=True)
    assert follower.compared == [[0, 0, 0, 0, 0]]
