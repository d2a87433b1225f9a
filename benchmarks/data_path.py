"""How much faster than the training step the data comes, from warm pages and from the disk.

    CARDRUNNER_DATA=folder OMP_NUM_THREADS=1 python -m benchmarks.data_path --threads 1
    CARDRUNNER_DATA=folder python -m benchmarks.data_path

The full shuffle gathers from pages that are in memory. The block shuffle begins every repetition with a file that was
evicted from the page cache (checked with ``mincore``), reads one block and hands all of it out in batches; beside it
the rate at which the disk gives the same file to a plain sequential read.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path

import torch

from benchmarks.encoded_files import evict, opened, read_through, repeated
from benchmarks.policy_run import card, dataset, games, trainer
from benchmarks.timing import Ratio, interleaved, ratio
from cardrunner.card.schema.card import Card
from cardrunner.training.feed import Feed
from cardrunner.training.numerics import Numerics, numerics
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset
from cardrunner.workloads.melee.encoding.layout import BYTES_PER_FRAME


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    read = card(batch_size=wanted.batch_size)
    with games(wanted.games) as data, repeated(data, size=wanted.file_bytes, folder=wanted.folder) as path:
        for threads in wanted.threads:
            torch.set_num_threads(threads)
            with numerics(read.training) as setting:
                _measure(wanted, read, path, setting)


def _measure(wanted: argparse.Namespace, read: Card, path: Path, setting: Numerics) -> None:
    examples, batch = dataset(read, opened(path)), wanted.batch_size
    warm_walk = _Walk(Feed(examples, device=setting.device), batch_size=batch, batches=wanted.batches)
    in_block = min(len(examples), wanted.block_bytes // examples.bytes_per_example()) // batch
    feed = Feed(examples, device=setting.device, block_bytes=wanted.block_bytes)
    cold_walk = _Walk(feed, batch_size=batch, batches=max(1, in_block))
    step = _step(read, examples, setting)
    print(f"threads {setting.threads}, batch {batch}, repetitions {wanted.repetitions}")
    cold, left = _cold({"step": step, "walk": cold_walk, "disk": partial(read_through, path)}, path, wanted.repetitions)
    frames = path.stat().st_size // BYTES_PER_FRAME
    print(f"  file of {path.stat().st_size / 1e9:.2f} GB, at most {left:.1%} of it cached when a case begins")
    _print_rate("stock step", cold["step"], batch)
    _print_rate("block shuffle, evicted", cold["walk"], batch * cold_walk.batches)
    _print_rate("the disk itself, read in sequence", cold["disk"], frames)
    print(f"  {'block shuffle, evicted / stock step':<44} {_speeds(cold['walk'], cold_walk.batches, cold['step'])}")
    disk = _speeds(cold["walk"], cold_walk.batches * batch, cold["disk"], frames)
    print(f"  {'block shuffle, evicted / the disk itself':<44} {disk}")
    # last, since pages that were touched through a memory map are not evicted
    warm = interleaved({"step": step, "walk": warm_walk}, repetitions=wanted.repetitions, lead=1)
    _print_rate("stock step", warm["step"], batch)
    _print_rate("full shuffle, warm", warm["walk"], batch * wanted.batches)
    print(f"  {'full shuffle, warm / stock step':<44} {_speeds(warm['walk'], wanted.batches, warm['step'])}")


def _cold(
    cases: Mapping[str, Callable[[], object]], path: Path, repetitions: int
) -> tuple[dict[str, list[float]], float]:
    """Time cases that each begin with an evicted file; also the largest share that stayed cached."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    left = 0.0
    for _, (name, case) in product(range(repetitions), cases.items()):
        left = max(left, evict(path))
        seconds[name] += interleaved({name: case}, repetitions=1)[name]
    return seconds, left


def _print_rate(name: str, seconds: Sequence[float], examples: int) -> None:
    rate = examples / statistics.median(seconds)
    print(f"  {name:<44} {rate:>12,.0f} examples/s  {rate * BYTES_PER_FRAME / 1e6:>8,.0f} MB/s of frames")


def _speeds(walk: Sequence[float], batches: int, other: Sequence[float], batches_of_other: int = 1) -> Ratio:
    """How many times faster than the other the walk is, batch for batch."""
    return ratio([time / batches_of_other for time in other], [time / batches for time in walk])


class _Walk:
    """Draws a number of batches per call, each call from the beginning of an epoch."""

    def __init__(self, feed: Feed, *, batch_size: int, batches: int) -> None:
        self.feed, self.batch_size, self.batches, self.epoch = feed, batch_size, batches, 0

    def __call__(self) -> None:
        self.epoch += 1
        drawn = self.feed.epoch(self.batch_size, seed=0, epoch=self.epoch, drop_last=True)
        for _ in islice(drawn, self.batches):
            pass


def _step(read: Card, examples: FrameDataset, setting: Numerics) -> Callable[[], object]:
    one = trainer(read, examples, setting, fast=False)
    batch = examples.__getitems__(torch.arange(read.training.batch_size))
    return lambda: one.step([batch])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = torch.get_num_threads()
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}), help="default: 1 and all cores")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--batches", type=int, default=50, help="of the full shuffle, timed together")
    parser.add_argument("--games", type=int, help="made-up games instead of the real ones")
    parser.add_argument("--file-bytes", type=int, default=10**9)
    parser.add_argument("--block-bytes", type=int, default=256 << 20)
    parser.add_argument("--folder", type=Path, help="on the disk that is measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
