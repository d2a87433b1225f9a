"""Kills at random points of a run that rules watch: the same verdicts at the same steps, weights, and no row twice.

    python -m benchmarks.kill_points --points 200

A point is a training step, or a write, flush, rename or link to the disk, counted from the start of an attempt; a write
that is struck is left half done. The card warns, pauses twice for investigation, restarts once with another learning
rate and is stopped in the end. The next attempt starts with or without a launcher's record that the worker was
killed, and may be struck again. After each attempt, ``cardrunner verify`` has to find no difference.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cardrunner import registry
from cardrunner.launching.worker import run_worker
from cardrunner.registry import stage_names
from cardrunner.runs.environment import code_sha256, collect_environment
from cardrunner.runs.events import Acknowledged, AttemptEnded, AttemptStarted
from cardrunner.runs.ledger import Ledger
from cardrunner.tracking.progress import NullProgress, showing
from cardrunner.training.loop import Trainer
from cardrunner.verifying import CHECKS, Evidence, ledger, records, signed
from tests.conftest import ToyRun, make_toy_run

CARD: dict[str, Any] = {
    "training.epochs": 6,
    "training.log_every": "3 steps",
    "training.checkpoint_every": "5 steps",
    "training.keep_best": ["val_accuracy"],
    "kill_thresholds": [
        {"metric": "loss/total", "above": 0.9, "within": "2 epochs", "action": "warn"},
        {"metric": "metric/accuracy", "below": "0.97x", "relative_to": "best", "after": "1 epoch", "action": "warn"},
        {"metric": "loss/total", "above": 0.1, "after": "13 steps", "within": "17 steps", "action": "investigate"},
        {"metric": "val_accuracy", "not_increasing_for": "1 epoch", "min_delta": 1, "after": "2 epochs",
         "action": "investigate"},
        {"metric": "val_loss", "above": 0.1, "after": "4 epochs", "within": "4 epochs", "action": "restart",
         "set": {"training.learning_rate": 0.004}},
        {"metric": "val_loss", "not_decreasing_for": "2 epochs", "min_delta": 9, "after": "3 epochs", "action": "stop"},
    ],
}  # fmt: skip
PAUSED, STOPPED = 8, 5
_OF_LAUNCHES = (ledger.submitted_first, records.launch_and_ledger, signed.approved_at_launch)
_OPERATIONS = ("write", "fsync", "replace", "link", "unlink")
_STRUCK_AGAIN = 0.3
_MOST_ATTEMPTS = 12


@dataclass
class Strike:
    """Counts the operations of a process and kills it at a given one."""

    at: int | None
    done: int = 0

    def install(self) -> None:
        """Watch this process from here on."""
        for name in _OPERATIONS:
            setattr(os, name, self._struck(getattr(os, name), halves=name == "write"))
        Trainer.step = self._struck(Trainer.step)  # type: ignore[method-assign]

    def _struck(self, operation: Callable[..., Any], *, halves: bool = False) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.done += 1
            if self.done == self.at:
                if halves:
                    operation(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*arguments, **options)

        return counted


def attempt(run: ToyRun, *, at: int | None) -> tuple[int, int]:
    """One life of a worker, in a process of its own.

    Returns:
        its exit code, minus the signal that ended it; and how many points it came by, where it could say so.
    """
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        _live(run, Strike(at), there)
    os.close(there)
    with os.fdopen(here, "rb") as told:
        points = int(told.read() or 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), points


def _live(run: ToyRun, strike: Strike, told: int) -> None:
    write, code = os.write, 1
    try:
        strike.install()
        with showing(NullProgress()):
            code = run_worker(run.folder.root)
    finally:
        write(told, str(strike.done).encode())
        os._exit(code)


def warm() -> None:
    """Import and look up once what every attempt would otherwise import and look up itself."""
    importlib.import_module("torch._dynamo")  # which the first optimizer imports
    for name in stage_names("worker"):
        registry.stage(name)
    registry.workload("toy")
    collect_environment(Path.cwd())
    code_sha256("cardrunner")


def whole(workspace: Path) -> tuple[ToyRun, list[int]]:
    """The undisturbed run, and the points of each of its attempts."""
    run, points = make_toy_run(workspace, CARD, name="whole"), list[int]()
    for expected in (PAUSED, PAUSED, STOPPED):
        code, passed = attempt(run, at=None)
        if code != expected:
            raise RuntimeError(f"attempt {len(points) + 1} of the undisturbed run ended with {code}, not {expected}")
        points.append(passed)
        Ledger(run.folder.ledger).append(Acknowledged(text="we looked"))
    return run, points


def struck(workspace: Path, name: str, points: Sequence[int], chance: random.Random, found: list[str]) -> ToyRun:
    """A run that is struck at one random point of its life, and now and then again until it ends as it should.

    Args:
        found: gets what ``cardrunner verify`` finds after each attempt.
    """
    run, own = make_toy_run(workspace, CARD, name=name), Ledger(workspace / "runs" / name / "ledger.jsonl")
    due: list[int | None] = [None] * chance.choices(range(3), points)[0]
    due.append(chance.randint(1, points[len(due)]))
    for number in range(_MOST_ATTEMPTS):
        again = chance.randint(1, max(points)) if number >= len(due) and chance.random() < _STRUCK_AGAIN else None
        code, _ = attempt(run, at=due[number] if number < len(due) else again)
        found += verified(run)
        last = own.last(AttemptStarted, AttemptEnded)
        if isinstance(last, AttemptEnded):  # a strike after its last word changes nothing
            code = last.exit_code
        if code == STOPPED:
            return run
        if code == PAUSED:
            own.append(Acknowledged(text="we looked"))
        elif chance.random() < 0.5:  # a launcher that lives says so
            attempts = own.attempts()
            end = AttemptEnded(attempt=attempts, state="interrupted", reason="killed", exit_code=7, seconds=0.0)
            own.append(end)
    return run


def differences(run: ToyRun, plain: ToyRun) -> Iterator[str]:
    """How a run differs from the undisturbed one."""
    (*_, last) = run.events("attempt_started", "attempt_ended")
    if last.get("exit_code") != STOPPED:
        yield f"it did not end as it should, but with {last}"
        return
    if _verdicts(run) != _verdicts(plain):
        yield f"verdicts {_verdicts(run)}"
    if run.facts() != plain.facts():
        yield "another history"
    places = [(row.kind, row.step) for row in run.rows]
    if len(places) != len(set(places)):
        yield "a row twice"
    if run.record.weights_sha256 != plain.record.weights_sha256:
        yield "other weights"
    if run.record.best != plain.record.best:
        yield "another best checkpoint"
    if len(run.events("restarted")) != len(plain.events("restarted")):
        yield "other restarts"


def verified(run: ToyRun) -> Iterator[str]:
    """What ``cardrunner verify`` finds, apart from the launch, which these runs have not had."""
    evidence = Evidence(run.folder, registry.workload_spec, partial(stage_names, "worker"))
    for check in CHECKS:
        if check.look not in _OF_LAUNCHES:
            yield from (f"verify: {damage}" for damage in check.answer(evidence).differences)


def _verdicts(run: ToyRun) -> list[tuple[Any, ...]]:
    return [tuple(event[name] for name in ("rule", "action", "kind", "step")) for event in run.events("verdict")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Strike and report; 1 if a run came out differently."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="strike one run again, as it was struck before")
    options = parser.parse_args(arguments)
    wrong = lives = 0
    warm()
    with TemporaryDirectory() as folder:
        plain, points = whole(Path(folder))
        print(f"undisturbed: {sum(points)} points in {len(points)} attempts, verdicts {_verdicts(plain)}")
        for number in range(options.points) if options.only is None else [options.only]:
            found: list[str] = []
            run = struck(Path(folder), f"struck-{number}", points, random.Random(f"{options.seed} {number}"), found)
            lives += len(run.events("attempt_started"))
            for difference in (*found, *differences(run, plain)):
                wrong += 1
                print(f"struck-{number} (seed {options.seed}): {difference}", file=sys.stderr)
    print(f"{1 if options.only is not None else options.points} runs struck, {lives} attempts: {wrong} differences")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
