"""How near training comes to its own speed limit, and how it compares with a plain DataLoader trainer.

    CARDRUNNER_DATA=folder OMP_NUM_THREADS=1 python -m benchmarks.train_step --threads 1
    CARDRUNNER_DATA=folder python -m benchmarks.train_step

Prints, for each number of threads, medians of paired ratios with 95 % intervals: the loop against the same step on one
resident batch, the share of waiting for batches, and examples per second against the usual trainer.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch

from benchmarks.policy_run import card, dataset, games, policy, steps, trainer
from benchmarks.timing import interleaved, ratio
from benchmarks.usual_trainer import usual_step
from cardrunner.card.schema.card import Card
from cardrunner.training.loop import Trainer
from cardrunner.training.numerics import Numerics, numerics
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset

_USUAL = "DataLoader trainer, {} workers"
_COMPARISONS = (
    ("loop / resident step, stock", "resident stock", "loop stock"),
    ("loop / resident step, fast", "resident fast", "loop fast"),
    ("fast step / stock step, resident", "resident stock", "resident fast"),
    *(
        (f"{kind} loop / {_USUAL.format(workers)}", _USUAL.format(workers), f"loop {kind}")
        for kind in ("stock", "fast")
        for workers in (0, 2)
    ),
)
"""What is printed, the case above the line, the case below it: both in seconds, so the ratio is one of speeds."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    read = card(batch_size=wanted.batch_size)
    with games(wanted.games) as data:
        for threads in wanted.threads:
            torch.set_num_threads(threads)
            with numerics(read.training) as setting:
                _measure(wanted, read, data, setting)


def _measure(wanted: argparse.Namespace, read: Card, data: EncodedData, setting: Numerics) -> None:
    examples = dataset(read, data)
    trainers = {kind: trainer(read, examples, setting, fast=kind == "fast") for kind in ("stock", "fast")}
    usual = {
        _USUAL.format(workers): usual_step(data, policy(read, fast=False), read, workers=workers)
        for workers in wanted.workers
    }
    seconds = interleaved(
        {**_cases(read, examples, setting, trainers), **usual},
        repetitions=wanted.repetitions,
        calls=wanted.steps,
        lead=wanted.lead,
    )
    batch = read.training.batch_size
    print(f"threads {setting.threads}, batch {batch}, repetitions {wanted.repetitions} of {wanted.steps} steps")
    for name, times in seconds.items():
        print(f"  {name:<44} {batch / statistics.median(times):>8,.0f} examples/s")
    for name, above, below in _COMPARISONS:
        if above in seconds:
            print(f"  {name:<44} {ratio(seconds[above], seconds[below])}")
    for kind, one in trainers.items():
        share = one.feed.wait_seconds / one.cursor.train_seconds
        print(f"  {f'waiting for batches, {kind}':<44} {share:.2%} of the loop")


def _cases(
    read: Card, examples: FrameDataset, setting: Numerics, loops: Mapping[str, Trainer]
) -> dict[str, Callable[[], object]]:
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
    resident = examples.__getitems__(order[: read.training.batch_size])
    cases: dict[str, Callable[[], object]] = {}
    for kind, loop in loops.items():
        cases[f"loop {kind}"] = partial(next, steps(loop))
        cases[f"resident {kind}"] = partial(trainer(read, examples, setting, fast=kind == "fast").step, (resident,))
    return cases


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}), help="1 and all cores")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="timed together in a repetition")
    parser.add_argument("--lead", type=int, default=2, help="steps before them that are not timed")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--games", type=int, help="made-up games instead of the real ones")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2], help="of the DataLoader trainer")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
