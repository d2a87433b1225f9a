"""Encode many replays in worker processes, in order, a few ahead of the reader.

A replay can do worse than raise: it can take its whole process down. Then every replay that was in flight is tried
again in a process of its own, and only the one that crashes there is skipped.

Torch is not imported here: each worker process would pay for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path

from cardrunner.contracts import Progress
from cardrunner.errors import EnvironmentFailed, MissingExtra, UsageError
from cardrunner.runs.environment import usable_cores
from cardrunner.workloads.melee.encoding.scheme import EncoderRules
from cardrunner.workloads.melee.encoding.slp import EncodedGame, ReplayRejected, encode_replay
from cardrunner.workloads.melee.encoding.writer import EncodedWriter

_AHEAD = 2


@dataclass(frozen=True)
class Skipped:
    """A replay that could not be encoded, and why."""

    path: Path
    reason: str


Attempt = Callable[[Path, bool], EncodedGame | Skipped]


def attempt(path: Path, drop_rollback: bool) -> EncodedGame | Skipped:
    """Encode one replay; a rejected one is returned as a value, because not every exception can be pickled."""
    try:
        return encode_replay(path, drop_rollback=drop_rollback)
    except ReplayRejected as error:
        return Skipped(path, str(error))
    except Exception as error:  # one bad replay must not stop the others
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
    """A process pool that survives crashes of its processes."""

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
    """Hold Ctrl-C back until the end of the block: the parent handles it, and a worker would print a traceback."""
    resource_tracker.ensure_running()  # starting it later, inside, would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _quiet() -> None:
    """Keep the decoder's panics off the screen: their reason is reported."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


REPLAY_SUFFIX = ".slp"
_MOST_WORKERS = 16
_REASONS_SHOWN = 3


@dataclass(frozen=True)
class EncodeReport:
    """The result of encoding some replays.

    Attributes:
        files: replays found.
        games: games written; ``files - games`` were skipped.
        skipped: (path, reason) of each that was left out.
        dropped_rows: rollback duplicates left out.
        size: bytes of the output.
        seconds: wall time.
    """

    files: int
    games: int
    frames: int
    skipped: tuple[tuple[Path, str], ...]
    dropped_rows: int
    output: Path
    size: int
    seconds: float

    def lines(self) -> tuple[str, ...]:
        """The report for people, one line per fact and per skipped replay."""
        rows = f", {self.dropped_rows:,} rollback duplicates dropped" if self.dropped_rows else ""
        skipped = f"; {len(self.skipped)} of {self.files} replays skipped" if self.skipped else ""
        summary = f"{self.output}: {self.games:,} games, {self.frames:,} frames, {self.size:,} bytes{rows}{skipped}"
        return (*(f"skipped {path}: {reason}" for path, reason in self.skipped), summary)


def encode(
    inputs: Sequence[Path],
    output: Path,
    *,
    drop_rollback: bool = False,
    workers: int | None = None,
    progress: Progress,
    work: Attempt = attempt,
) -> EncodeReport:
    """Encode replays, and every replay below the folders given, into one file in sorted order of their paths.

    A broken replay is reported and skipped; the others go on.

    Args:
        inputs: replays and folders.
        output: the file to make; it must not exist.
        drop_rollback: keep only the last row of each frame id.
        workers: processes; default one per core.
        progress: shows the replays done.
        work: what a worker process does with one replay.

    Raises:
        UsageError: the output exists.
        EnvironmentFailed: an input is absent, every replay was skipped, or the output cannot be written.
        MissingExtra: peppi-py is not installed.
    """
    started = time.monotonic()
    if find_spec("peppi_py") is None:
        raise MissingExtra("peppi-py", "melee", "encode replays")
    if output.exists():
        raise UsageError(f"{output} exists already; give another name after -o, or move it away")
    paths = find_replays(inputs)
    skipped: list[Skipped] = []
    dropped = 0
    with EncodedWriter(output) as writer, progress.task("encode", len(paths), unit="replays") as task:
        count = min(workers or usable_cores(), len(paths), _MOST_WORKERS)
        for path, result in encode_in_order(paths, drop_rollback=drop_rollback, workers=count, work=work):
            if isinstance(result, Skipped):
                skipped.append(result)
            else:
                writer.add(result.floats, result.ints)
                dropped += result.dropped_rows
            task.advance(info=path.name)
        _require_games(writer.games, skipped)
        file = writer.commit(rules=EncoderRules(source="slp", rollback="dropped" if drop_rollback else "kept"))
    return EncodeReport(
        files=len(paths),
        games=file.games,
        frames=file.frames,
        skipped=tuple((each.path, each.reason) for each in skipped),
        dropped_rows=dropped,
        output=output,
        size=file.size,
        seconds=time.monotonic() - started,
    )


def find_replays(inputs: Iterable[Path]) -> list[Path]:
    """The given replays, and all below the given folders, each once, in sorted order.

    Raises:
        EnvironmentFailed: an input does not exist, or no replay was found.
    """
    named = list(inputs)
    found: dict[Path, Path] = {}
    for place in named:
        if not place.exists():
            raise EnvironmentFailed(
                f"{place}: there is no such file or folder; give replays, or folders that contain some"
            )
        inside = (each for each in place.rglob("*") if each.suffix.lower() == REPLAY_SUFFIX and each.is_file())
        found.update((each.resolve(), each) for each in (inside if place.is_dir() else (place,)))
    if not found:
        listed = ", ".join(str(place) for place in named) or "the arguments"
        raise EnvironmentFailed(f"no {REPLAY_SUFFIX} file in {listed}; give replays, or folders that contain some")
    return sorted(found.values())


def _require_games(games: int, skipped: Sequence[Skipped]) -> None:
    if games:
        return
    reasons = "; ".join(f"{each.path}: {each.reason}" for each in skipped[:_REASONS_SHOWN])
    more = f"; and {len(skipped) - _REASONS_SHOWN} more" if len(skipped) > _REASONS_SHOWN else ""
    raise EnvironmentFailed(
        f"nothing was written: none of the {len(skipped)} replays could be encoded ({reasons}{more})"
    )
