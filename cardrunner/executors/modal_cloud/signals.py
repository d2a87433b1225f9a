"""Signals in a container: SIGINT when Modal takes the machine back, SIGUSR1 when the input is cancelled.

Modal's handlers raise in the main thread, at any point.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

NUMBERS = (signal.SIGINT, signal.SIGUSR1)


class SignalListener:
    """Keeps what the handlers raise inside the block.

    An exception raised inside a blocking call of the SDK, such as a commit, is lost if the answer arrives at the same
    moment: the SDK cancels its task, finds it done, and returns the result.
    """

    def __init__(self) -> None:
        self._raised: BaseException | None = None
        self._before: dict[int, object] = {}

    def check(self) -> None:
        """Raise what a handler raised, if it was lost."""
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
    """Ignore signals inside the block: the container is ending already."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
