"""Encode many replays in worker processes, in order, a few ahead of the reader.

A replay can do worse than raise: it can take its whole process down. Then every replay that was in flight is tried
again in a process of its own, and only the one that crashes there is given up.

Torch is not imported here: each worker process would pay for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

from cardrunner.workloads.melee.slp import EncodedGame, ReplayRejected, encode_replay

_AHEAD = 2


@dataclass(frozen=True)
class Skipped:
    """A replay that gave no game, and why."""

    path: Path
    reason: str


Attempt = Callable[[Path, bool], EncodedGame | Skipped]


def attempt(path: Path, drop_rollback: bool) -> EncodedGame | Skipped:
    """Encode one replay; a rejected one is a value, because exceptions do not all survive the way to the parent."""
    try:
        return encode_replay(path, drop_rollback=drop_rollback)
    except ReplayRejected as error:
        return Skipped(path, str(error))
    except Exception as error:  # one odd replay must not lose the others
        return Skipped(path, f"it cannot be encoded ({type(error).__name__}: {error})")


def encode_in_order(
    paths: Sequence[Path], *, drop_rollback: bool, workers: int, work: Attempt = attempt
) -> Iterator[tuple[Path, EncodedGame | Skipped]]:
    """Encode replays in parallel and yield their results in the order of ``paths``.

    Args:
        paths: the replays.
        drop_rollback: as ``encode_replay``.
        workers: processes; at most twice as many games are held at a time.
        work: what a worker does, importable by name.
    """
    pool = _Pool(workers, work, drop_rollback)
    waiting: deque[tuple[Path, Future[EncodedGame | Skipped]]] = deque()
    try:
        for path in paths:
            waiting.append((path, pool.submit(path)))
            if len(waiting) >= _AHEAD * workers:
                yield pool.result(*waiting.popleft())
        while waiting:
            yield pool.result(*waiting.popleft())
    finally:
        pool.close()


class _Pool:
    """A process pool that outlives the death of its processes."""

    def __init__(self, workers: int, work: Attempt, drop_rollback: bool) -> None:
        self.workers, self.work, self.drop_rollback = workers, work, drop_rollback
        self.processes = _processes(workers)

    def submit(self, path: Path) -> Future[EncodedGame | Skipped]:
        try:
            return self._begin(self.processes, path)
        except BrokenProcessPool:
            self.close()
            self.processes = _processes(self.workers)
            return self._begin(self.processes, path)

    def result(self, path: Path, future: Future[EncodedGame | Skipped]) -> tuple[Path, EncodedGame | Skipped]:
        try:
            return path, future.result()
        except BrokenProcessPool:
            return path, self._alone(path)

    def _alone(self, path: Path) -> EncodedGame | Skipped:
        with _processes(1) as process:
            try:
                return self._begin(process, path).result()
            except BrokenProcessPool:
                return Skipped(path, "it crashed the process that decoded it")

    def _begin(self, processes: ProcessPoolExecutor, path: Path) -> Future[EncodedGame | Skipped]:
        with _interrupts_held_back():  # a process that this starts inherits it, from its first instruction on
            return processes.submit(self.work, path, self.drop_rollback)

    def close(self) -> None:
        self.processes.shutdown(cancel_futures=True)


def _processes(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks held by torch's threads
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits until the end of the block: it is the parent's to answer, a worker would print a traceback."""
    resource_tracker.ensure_running()  # starting it later, inside, would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _quiet() -> None:
    """Keep the decoder's panics off the screen: their reason is reported."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
