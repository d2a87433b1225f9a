"""Signals in a container: SIGINT when Modal takes the machine back, SIGUSR1 when the input is cancelled.

Modal's handlers raise, wherever the main thread is.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

NUMBERS = (signal.SIGINT, signal.SIGUSR1)


class SignalListener:
    """Remembers what the handlers raise while the block lasts.

    What is raised inside a blocking call of the SDK is lost when the call's answer comes at the same moment: the SDK
    cancels what it waits for, finds that it is done, and returns it. Commits are such calls.
    """

    def __init__(self) -> None:
        self._raised: BaseException | None = None
        self._before: dict[int, object] = {}

    def check(self) -> None:
        """Raise what was heard, if anything was."""
        if self._raised is not None:
            raise self._raised

    def __enter__(self) -> Self:
        for number in NUMBERS:
            before = signal.getsignal(number)
            if callable(before):
                self._before[number] = before
                signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        before = self._before[number]
        assert callable(before)
        try:
            before(number, frame)
        except BaseException as interruption:
            self._raised = interruption
            raise


@contextmanager
def ignored_signals() -> Iterator[None]:
    """Hear no further signal: the first one said everything, and the last one nobody can refuse."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
