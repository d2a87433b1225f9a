from __future__ import annotations

import contextlib
import signal

import pytest

from cardrunner.executors.modal_cloud.signals import NUMBERS, SignalListener, ignored_signals


def test_what_a_library_swallowed_is_raised_all_the_same() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with SignalListener() as hearing:
        hearing.check()
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            hearing.check()
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_whoever_leaves_hears_nothing_more() -> None:
    with SignalListener() as hearing, ignored_signals():
        for number in NUMBERS:
            signal.raise_signal(number)
        hearing.check()
