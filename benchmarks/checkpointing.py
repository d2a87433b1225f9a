"""What checkpointing costs: the time of a save as a share of a minute, and of the training beside it.

    CARDRUNNER_DATA=... python -m benchmarks.checkpointing --threads 1

A save is everything that a run does at the end of an epoch: the weights' digest, the export that ``latest.pt`` and
``best.pt`` lead to, the full state, the manifest, all flushed to the disk. Steps of the training lie between the saves,
so that caches are as cold as they are in a run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.policy_run import card, dataset, games, steps, trainer
from cardrunner.card.schema.training import TrainingSection
from cardrunner.runs.folder import RunFolder
from cardrunner.training.checkpoint import CheckpointSnapshot, CheckpointStore, export_file, state_file
from cardrunner.training.loop import Trainer
from cardrunner.training.numerics import numerics
from cardrunner.training.state import (
    Findings,
    StateOrigin,
    all_finite,
    capture,
    on_cpu,
    parameter_count,
    weights_sha256,
)

_MINUTE = 60.0
_LIMIT = 0.005
_RESAMPLES = 2000


class Saves:
    """Saves a trainer as a run does; each call is one save."""

    def __init__(self, trained: Trainer, folder: Path) -> None:
        self.trained, self.step = trained, 0
        self.store = CheckpointStore(RunFolder(folder), keep=2)
        self.store.prepare()

    def state_alone(self) -> None:
        """A save in the middle of an epoch."""
        self.store.save([self._state(self._digest())])

    def with_exports(self) -> None:
        """A save at the end of an epoch that improved."""
        digest = self._digest()
        self.store.save([self._export(digest), self._state(digest)])

    @property
    def bytes(self) -> int:
        """Bytes written by the newest save."""
        files = {entry.source: entry.bytes for entry in self.store.manifest.entries if entry.step == self.step}
        return sum(files.values())

    def _digest(self) -> str:
        self.step += 1
        assert all_finite(self.trained.model)
        return weights_sha256(self.trained.model.state_dict())

    def _state(self, digest: str) -> CheckpointSnapshot:
        nothing: dict[str, dict[str, str]] = {"data": {}, "versions": {}, "plugins": {}}
        origin = StateOrigin(run="x", card_digest="", order="", code="", threads=1, processes=1, **nothing)
        content = capture(self.trained, origin, Findings())
        return self._snapshot(state_file(epoch=1, step=self.step), content, digest, {})

    def _export(self, digest: str) -> CheckpointSnapshot:
        weights, optimizer = self.trained.model.state_dict(), self.trained.optimizer.state_dict()
        content = {"model_state_dict": on_cpu(weights), "optimizer_state_dict": on_cpu(optimizer)}
        names = {"latest.pt": "latest", "best.pt": "best"}
        return self._snapshot(export_file(epoch=1, step=self.step), content, digest, names)

    def _snapshot(
        self, file: str, content: dict[str, object], digest: str, names: dict[str, str]
    ) -> CheckpointSnapshot:
        return CheckpointSnapshot(
            file=file, content=content, names=names, epoch=1, step=self.step, weights_sha256=digest, metrics={}
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the cost of both kinds of save."""
    wanted = _parse(arguments)
    read = card(batch_size=wanted.batch_size)
    training: TrainingSection = read.training.model_copy(update={"threads": wanted.threads})
    with games(wanted.games) as data, numerics(training) as setting, tempfile.TemporaryDirectory(dir=wanted.on) as on:
        trained = trainer(read, dataset(read, data), setting, fast=False)
        run, saves = steps(trained), Saves(trained, Path(on))
        parameters = parameter_count(trained.model)
        print(f"threads {setting.threads}, {parameters} parameters, {wanted.repetitions} repetitions, 95 % intervals")
        for name, save in {"state alone": saves.state_alone, "state + export": saves.with_exports}.items():
            seconds = [_after_steps(run, save, wanted.steps) for _ in range(wanted.repetitions)]
            _print(name, seconds, saves.bytes)


def _after_steps(run: Iterator[None], save: Callable[[], object], count: int) -> float:
    for _ in range(count):
        next(run)
    began = time.perf_counter()
    save()
    return time.perf_counter() - began


def _print(name: str, seconds: Sequence[float], size: int) -> None:
    found = np.asarray(seconds)
    picks = np.random.default_rng(0).integers(0, len(found), (_RESAMPLES, len(found)))
    low, high = np.quantile(np.median(found[picks], axis=1), (0.025, 0.975))
    share = float(np.median(found)) / _MINUTE
    print(
        f"{name:15s} {np.median(found) * 1000:6.1f} ms  [{low * 1000:.1f}, {high * 1000:.1f}]  {size / 1e6:.1f} MB, "
        f"{share:.3%} of the time at one a minute  [{low / _MINUTE:.3%}, {high / _MINUTE:.3%}], limit {_LIMIT:.1%}"
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--steps", type=int, default=2, help="steps of training between two saves")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--games", type=int, help="number of made-up games to use in place of CARDRUNNER_DATA")
    parser.add_argument("--on", type=Path, help="a folder on the disk that is measured")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
