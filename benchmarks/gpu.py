"""How near training on a GPU comes to its own speed limit, and how many bytes it sends there.

    python -m benchmarks.gpu                             # made-up games, or the real ones of CARDRUNNER_DATA

For each precision, with the plain model and with its own lookups (fast), with launched and with recorded kernels (CUDA
graph): examples per second of the loop and of the same step on one resident batch, the median of their paired ratios
with a 95 % interval, and the time that an epoch of the 185.6 million examples of policy-22k would take at that rate.
Then the bytes that go to the device for each example, by the way the data takes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, product

import torch

from benchmarks.policy_run import card, dataset, games, steps, trainer
from benchmarks.timing import interleaved, ratio
from cardrunner.card.schema.card import Card
from cardrunner.training.device_copy import DeviceCopy
from cardrunner.training.feed import Feed
from cardrunner.training.numerics import numerics
from cardrunner.workloads.melee.encoding.frame_dataset import FrameDataset

EPOCH = 185_648_963
"""Training examples of policy-22k."""
KINDS = ("fast, recorded", "fast, launched", "plain, recorded", "plain, launched")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    wanted = _parse(arguments)
    if not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; this measures a GPU")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {wanted.batch_size}")
    print(f"repetitions {wanted.repetitions} of {wanted.steps} steps")
    read = card(batch_size=wanted.batch_size)
    with games(wanted.games) as data:
        examples = dataset(read, data)
        for precision, kind in product(wanted.precisions, wanted.kinds):
            _measure(wanted, _with(read, precision=precision, cuda_graph="recorded" in kind), examples, kind)
        _bus(wanted, examples)


def _with(read: Card, **fields: object) -> Card:
    return read.model_copy(update={"training": read.training.model_copy(update=fields)})


def _measure(wanted: argparse.Namespace, read: Card, examples: FrameDataset, kind: str) -> None:
    with numerics(read.training) as setting:
        loop, resident = (trainer(read, examples, setting, fast="fast" in kind) for _ in range(2))
        batch = next(resident.feed.batches([torch.arange(wanted.batch_size)]))
        cases = {
            "loop": _waited(partial(next, steps(loop)), wanted.steps),
            "resident": _waited(partial(resident.step, (batch,)), wanted.steps),
        }
        seconds = interleaved(cases, repetitions=wanted.repetitions, lead=1)
    rates = {name: wanted.steps * wanted.batch_size / statistics.median(times) for name, times in seconds.items()}
    print(
        f"  {read.training.precision:8} {kind:15} loop {rates['loop']:>10,.0f} examples/s, "
        f"resident step {rates['resident']:>10,.0f}, loop / resident {ratio(seconds['resident'], seconds['loop'])}, "
        f"an epoch of policy-22k {EPOCH / rates['loop']:,.0f} s"
    )
    for note in loop.notes:
        print(f"    {note}")


def _waited(step: Callable[[], object], count: int) -> Callable[[], None]:
    """Takes a number of steps, then waits for the device."""

    def run() -> None:
        for _ in range(count):
            step()
        torch.cuda.synchronize()

    return run


def _bus(wanted: argparse.Namespace, examples: FrameDataset) -> None:
    device = torch.device("cuda")
    ways = {
        "resident": Feed(examples, device=device),
        "blocks": Feed(examples, device=device, block_bytes=wanted.block_bytes),
        "packed batches": Feed(examples, device=device, bus=_Full(device)),
    }
    for name, feed in ways.items():
        drawn = sum(len(batch[0]) for batch in _epoch(feed, wanted.batch_size))
        print(f"  {name:16} {feed.bus.sent / drawn:8,.1f} bytes an example over the first epoch")


def _epoch(feed: Feed, batch_size: int) -> Iterator[Sequence[torch.Tensor]]:
    return islice(feed.epoch(batch_size, seed=0, epoch=1, drop_last=False), None)


class _Full(DeviceCopy):
    """To a device that has no room for the dataset."""

    def free_bytes(self) -> int:
        return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precisions", nargs="+", default=["float32", "tf32", "bf16", "fp16"])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--steps", type=int, default=200, help="timed together in a repetition")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--block-bytes", type=int, default=256 << 20)
    parser.add_argument("--games", type=int, help="made-up games instead of the real ones")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
