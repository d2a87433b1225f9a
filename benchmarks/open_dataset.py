"""How long it takes to open a file of 300 and of 22,000 games: structure checked, both sides of the split ready.

    OMP_NUM_THREADS=1 python -m benchmarks.open_dataset

The files are opened in turn in one process, after the imports. Their values and digests are not read: that happens once
per file and is remembered.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from benchmarks.encoded_files import opened, short_games
from benchmarks.timing import interleaved
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset, split_games
from cardrunner.workloads.melee.encoding.windows import player_examples

_CONTEXT = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    with ExitStack() as stack:
        paths = {count: stack.enter_context(short_games(count, rows=wanted.rows)) for count in wanted.games}
        cases = {str(count): partial(open_sides, path) for count, path in paths.items()}
        seconds = interleaved(cases, repetitions=wanted.repetitions, lead=1)
    print(f"threads {torch.get_num_threads()}, repetitions {wanted.repetitions}, games of {wanted.rows} frames")
    for count, times in seconds.items():
        middle, worst = statistics.median(times), max(times)
        print(f"  {int(count):>7,} games: {middle * 1e3:>7.1f} ms, at most {worst * 1e3:.1f} ms")


def open_sides(path: Path) -> int:
    """Open and split; returns the number of examples."""
    data = opened(path)
    sides = (
        FrameDataset(data, games, context_len=_CONTEXT, examples=player_examples(0))
        for games in split_games(data.games, 0.9)
    )
    return sum(map(len, sides))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, nargs="+", default=[300, 22_000])
    parser.add_argument("--rows", type=int, default=130, help="frames of a game")
    parser.add_argument("--repetitions", type=int, default=15)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
