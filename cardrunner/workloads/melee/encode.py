"""Many replays → one encoded file: the tool behind ``cardrunner encode``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cardrunner.contracts import Progress
from cardrunner.errors import EnvironmentFailed, MissingExtra, UsageError
from cardrunner.workloads.melee.encode_pool import Attempt, Skipped, attempt, encode_in_order
from cardrunner.workloads.melee.encoding import EncoderRules
from cardrunner.workloads.melee.writer import EncodedWriter

REPLAY_SUFFIX = ".slp"
_MOST_WORKERS = 16
_REASONS_SHOWN = 3


@dataclass(frozen=True)
class EncodeReport:
    """What became of the replays.

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
        EnvironmentFailed: an input is absent, no replay gave a game, or the output cannot be written.
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
        count = min(workers or os.cpu_count() or 1, len(paths), _MOST_WORKERS)
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
    """The replays named, and all below the folders named, each once, in sorted order.

    Raises:
        EnvironmentFailed: an input does not exist, or there is no replay at all.
    """
    named = list(inputs)
    found: dict[Path, Path] = {}
    for place in named:
        if not place.exists():
            raise EnvironmentFailed(
                f"{place}: there is no such file or folder; give replays, or folders that hold some"
            )
        inside = (each for each in place.rglob("*") if each.suffix.lower() == REPLAY_SUFFIX and each.is_file())
        found.update((each.resolve(), each) for each in (inside if place.is_dir() else (place,)))
    if not found:
        listed = ", ".join(str(place) for place in named) or "the arguments"
        raise EnvironmentFailed(f"no {REPLAY_SUFFIX} file in {listed}; give replays, or folders that hold some")
    return sorted(found.values())


def _require_games(games: int, skipped: Sequence[Skipped]) -> None:
    if games:
        return
    reasons = "; ".join(f"{each.path}: {each.reason}" for each in skipped[:_REASONS_SHOWN])
    more = f"; and {len(skipped) - _REASONS_SHOWN} more" if len(skipped) > _REASONS_SHOWN else ""
    raise EnvironmentFailed(
        f"nothing was written: none of the {len(skipped)} replays could be encoded ({reasons}{more})"
    )
