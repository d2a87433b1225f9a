"""What kill thresholds cost: judging a log point as a share of the training between two of them.

    CARDRUNNER_DATA=... OMP_NUM_THREADS=1 python -m benchmarks.judging

The rules are the 19 of ``tests/cards/valid/every-rule.yaml``, one of each kind and more. They judge rows of a run that
already has a given number of log points; the training is that of the real games, 100 steps as between two log points of
a card that says nothing else. Both take turns in one process, and the ratio of neighbours is reported.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.policy_run import card, dataset, games, steps, trainer
from benchmarks.timing import interleaved, ratio
from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.contracts import RunContext
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, History, HistoryRow
from cardrunner.runs.interrupts import StopRequest
from cardrunner.runs.ledger import Ledger
from cardrunner.tracking.progress import NullProgress
from cardrunner.training.judging import Judge
from cardrunner.training.numerics import numerics
from cardrunner.workspace import Workspace

CARD = Path(__file__).parents[1] / "tests" / "cards" / "valid" / "every-rule.yaml"
LIMIT = 0.01
_STEPS = 100
_ROWS_AN_EPOCH = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the share for each length of the history; 1 where one is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[100, 10_000, 100_000], help="log points behind the run")
    parser.add_argument("--repetitions", type=int, default=9)
    options, over = parser.parse_args(arguments), False
    read = card(batch_size=1024)
    training = read.training.model_copy(update={"threads": 1})
    with games(None) as data, numerics(training) as setting:
        run = steps(trainer(read, dataset(read, data), setting, fast=True))
        for length in options.rows:
            with TemporaryDirectory() as folder:
                judged = _judging(Path(folder), length)
                cases: dict[str, Callable[[], object]] = {"judge": judged, "train": lambda: _train(run)}
                seconds = interleaved(cases, repetitions=options.repetitions)
            found = ratio(seconds["judge"], seconds["train"])
            middle = sorted(seconds["judge"])[len(seconds["judge"]) // 2]
            share = f"{found.median:.4%}  [{found.low:.4%}, {found.high:.4%}]"
            print(f"{length:7} rows: {middle * 1000:.2f} ms a log point, {share} of the training, at most {LIMIT:.0%}")
            over = over or found.median > LIMIT
    return int(over)


def _train(run: Iterator[None]) -> None:
    for _ in range(_STEPS):
        next(run)


def _judging(folder: Path, length: int) -> Callable[[], object]:
    """Judges one more row at each call."""
    loaded = load_card(CARD, registry.workload_spec)
    context = RunContext(
        folder=RunFolder(folder),
        workspace=Workspace(folder),
        card=loaded.card,
        digest=loaded.digest,
        workload=registry.workload("melee-policy"),
        ledger=Ledger(folder / "ledger.jsonl"),
        history=History(folder / "history.jsonl"),
        stop=StopRequest(),
        progress=NullProgress(),
        attempt=1,
    )
    judge, rows = Judge(context), _rows()
    judge.resume(0, at_validation=True)
    for _ in range(length):
        judge.row(next(rows))
    return lambda: judge.row(next(rows))


def _rows() -> Iterator[HistoryRow]:
    """Log points of a run on which nothing fires."""
    chance, step = random.Random(0), 0
    names = [metric.name for metric in registry.workload_spec("melee-policy").metrics]
    while True:
        step += _STEPS
        epoch = step // (_STEPS * _ROWS_AN_EPOCH) + 1
        values = {name: 0.5 + chance.random() / 100 for name in names}
        yield HistoryRow(
            kind="train",
            epoch=epoch,
            step=step,
            examples=step * 1024,
            learning_rate=1e-3,
            progress=step / (_STEPS * _ROWS_AN_EPOCH),
            metrics=values,
            clock=Clock(at="", attempt=1, seconds=step / 100, examples_per_second=1e5 + chance.random(), wait_share=0.1,
                        trained_seconds=step / 100, total_seconds=step / 100, cost_usd=0.1),
        )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
