"""What watching costs a run: the work that every step does for it, and the processes beside the worker.

    CARDRUNNER_DATA=... python -m benchmarks.watching --seconds 60

The first figure is the time of the signs of life as a share of the time of a training step, both measured in one
process, taking turns, on the policy run. The second is the processor time of everything that watches a live run (the
launch, the supervisor, the tracker processes, their children) as a share of the training's, read from the system's own
counters, once it has settled.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.policy_run import card, dataset, games, steps, trainer
from benchmarks.runs_of_toys import ROOT
from benchmarks.timing import interleaved, ratio
from cardrunner.runs.events import JobStarted
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.lease import read_lease
from cardrunner.runs.ledger import Ledger
from cardrunner.training.first_steps import Signs
from cardrunner.training.group import ProcessGroup
from cardrunner.training.numerics import numerics

_LIMIT = 0.01
_TICK = os.sysconf("SC_CLK_TCK")
_CALLS = 1000
_SETTLED_SECONDS = 35.0
"""The supervisor imports once what it needs at the end, about half a second of work, when a run is 30 s old."""


def signs_against_step(*, repetitions: int, batch_size: int) -> str:
    """The signs of a step over the step."""
    of = card(batch_size=batch_size)
    with TemporaryDirectory() as folder, games(None) as data, numerics(of.training) as found:
        trained = trainer(of, dataset(of, data), found, fast=True)
        run = RunFolder(Path(folder))
        ctx = SimpleNamespace(folder=run, ledger=Ledger(run.ledger), attempt=1)
        signs, training = Signs(cast("Any", ctx), trained, ProcessGroup(), began=time.monotonic()), steps(trained)

        def thousand() -> None:
            for _ in range(_CALLS):
                signs.after_step()

        cases = {"step": lambda: next(training), "signs": thousand}
        seconds = interleaved(cases, repetitions=repetitions, lead=1)
    share = ratio([value / _CALLS for value in seconds["signs"]], seconds["step"])
    return f"{share.median:.6f}  [{share.low:.6f}, {share.high:.6f}]  n={share.repetitions}"


def beside_a_run(*, seconds: float) -> dict[str, float]:
    """Processor seconds of each watcher and of the worker, over some seconds of a real run with both trackers."""
    with TemporaryDirectory() as place:
        path = Path(place, "runcards", "watched.yaml")
        path.parent.mkdir()
        text = (ROOT / "runcards" / "real-games.yaml").read_text().replace("name: real-games", "name: watched")
        infra = "infra:\n  tracking: {wandb: {project: p}, tensorboard: true}"
        signed = text.replace("infra:", infra, 1).split("sign_off:")[0]
        path.write_text(f"{signed}sign_off: {{policy: boxes, reviewers: [{{id: ada, signed: true}}]}}\n")
        command = [sys.executable, "-m", "cardrunner", "launch", str(path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}
        with subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.PIPE, text=True) as launch:
            folder = RunFolder(Path(place, "runs", "watched"))
            try:
                while not History(folder.history).rows():
                    if launch.poll() is not None:
                        raise SystemExit(f"the run did not train: {launch.communicate()[1]}")
                    time.sleep(0.1)
                worker = read_lease(folder)
                if worker is None:
                    raise SystemExit("the run has no worker")
                time.sleep(_SETTLED_SECONDS)
                before = _spent(launch.pid, folder, worker.pid)
                time.sleep(seconds)
                after = _spent(launch.pid, folder, worker.pid)
            finally:
                subprocess.run([*command[:3], "stop", "watched"], cwd=place, env=environment, check=False)
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def _spent(launch: int, folder: RunFolder, worker: int) -> dict[str, float]:
    """Processor seconds so far, by what a process is."""
    (job,) = Ledger(folder.ledger).events(JobStarted)
    supervisor = int(job.id.split(":")[1])
    named = {launch: "launch", supervisor: "supervisor", worker: "worker"}
    found: dict[str, float] = {}
    for pid in {*named, *_below(supervisor)}:
        name = named.get(pid) or _name(pid)
        found[name] = found.get(name, 0.0) + _processor_seconds(pid)
    return found


def _name(pid: int) -> str:
    """What a child of the worker is: a tracker's station, or a program that it started."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return "gone"
    return f"{words[3]} station" if "cardrunner.launching.tracker_process" in words else Path(words[0]).name


def _below(pid: int) -> Iterator[int]:
    for child in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(child.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            yield int(child.parent.name)
            yield from _below(int(child.parent.name))


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args(arguments)
    signs = signs_against_step(repetitions=options.repetitions, batch_size=options.batch_size)
    print(f"signs of a step / step        {signs}")
    spent = beside_a_run(seconds=options.seconds)
    worker = spent.pop("worker")
    watchers = sum(spent.values())
    for name, value in sorted(spent.items()):
        print(f"  {name:<27} {value:6.2f} s of processor time")
    print(f"watchers beside it / worker   {watchers / worker:.4f}  ({watchers:.2f} s of {worker:.2f} s)")
    print(f"limit                         {_LIMIT}")
    return 0 if watchers < _LIMIT * worker else 1


if __name__ == "__main__":
    raise SystemExit(main())
