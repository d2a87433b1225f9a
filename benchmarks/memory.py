"""How much memory of its own training takes beside the model, whatever the size of the file.

    CARDRUNNER_DATA=folder OMP_NUM_THREADS=1 python -m benchmarks.memory
    CARDRUNNER_DATA=folder OMP_NUM_THREADS=1 python -m benchmarks.memory --file-bytes 10000000000

Each case is a process of its own: it trains on one resident batch and notes its anonymous memory (RssAnon), which is
the model's own; then it checks the whole file, trains through blocks or random batches, validates, and prints by how
much the peak was higher. Every 100th batch is trained, the others are only drawn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch

from benchmarks.encoded_files import opened, repeated
from benchmarks.policy_run import card, dataset, games, trainer
from cardrunner.training.feed import Feed
from cardrunner.training.numerics import numerics
from cardrunner.workloads.melee.encoding.file_scan import scan_file

_LIMIT = 0.6e9


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    if wanted.inside is not None:
        _train(wanted)
        return
    with games(wanted.games) as data, repeated(data, size=wanted.file_bytes, folder=wanted.folder) as path:
        size = path.stat().st_size
        for mode in ("full", "block"):
            worst = max(_case(wanted, path, mode) for _ in range(wanted.repetitions))
            print(
                f"threads {torch.get_num_threads()}, file {size / 1e9:.2f} GB, {mode} shuffle: at most"
                f" {worst / 1e6:.0f} MB over the model's own in {wanted.repetitions} processes"
                f" ({'below' if worst < _LIMIT else 'ABOVE'} {_LIMIT / 1e6:.0f} MB)"
            )


def _case(wanted: argparse.Namespace, path: Path, mode: str) -> int:
    options = {"--mode": mode, "--batches": wanted.batches, "--batch-size": wanted.batch_size}
    options |= {"--block-bytes": wanted.block_bytes, "--inside": path}
    words = [str(word) for pair in options.items() for word in pair]
    argv = [sys.executable, "-m", "benchmarks.memory", *words]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def _train(wanted: argparse.Namespace) -> None:
    """One process: prints how many bytes the peak was higher than the model's own."""
    read = card(batch_size=wanted.batch_size)
    data = opened(wanted.inside)
    examples = dataset(read, data)
    with numerics(read.training) as setting:
        one = trainer(read, examples, setting, fast=True)
        batch = examples.__getitems__(torch.arange(wanted.batch_size))
        for _ in range(3):
            one.step([batch])
        own = anonymous_bytes()
        with Peak() as peak:
            for file in data.files:
                scan_file(file, hashed=True)
            blocks = wanted.block_bytes if wanted.mode == "block" else None
            one.feed = Feed(examples, device=setting.device, block_bytes=blocks)
            drawn = one.feed.epoch(wanted.batch_size, seed=0, epoch=1, drop_last=True)
            for number, found in enumerate(islice(drawn, wanted.batches)):
                if number % 100 == 0:
                    one.step([found])
            for _ in islice(one.feed.in_order(wanted.batch_size), wanted.batches):
                pass
    print(peak.bytes - own)


class Peak:
    """Watches the anonymous memory of this process from a thread."""

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.bytes = max(self.bytes, anonymous_bytes())


def anonymous_bytes() -> int:
    """RssAnon of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file-bytes", type=int, default=10**9)
    parser.add_argument("--block-bytes", type=int, default=256 << 20)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=2000, help="drawn in training and in validation")
    parser.add_argument("--repetitions", type=int, default=3, help="processes a mode; the worst counts")
    parser.add_argument("--games", type=int, help="made-up games instead of the real ones")
    parser.add_argument("--folder", type=Path, help="where the file is made")
    parser.add_argument("--mode", choices=("full", "block"), help=argparse.SUPPRESS)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
