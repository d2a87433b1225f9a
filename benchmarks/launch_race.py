"""Many launches of one name at once: exactly one may run.

    python -m benchmarks.launch_race --launches 50 --rounds 20

Every launch is a process of its own, and all wait for the same signal to begin. Ends with 1 if a round has another
number of runs than one, or leaves anything behind.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.runs_of_toys import forking, write_card
from cardrunner.errors import NameTaken
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.status import derive_status
from tests.conftest import Zygote

_CODE = """
import pathlib, random, sys, time
go, jitter = pathlib.Path(sys.argv.pop(1)), float(sys.argv.pop(1))
while not go.exists(): time.sleep(0.0005)
time.sleep(jitter)
from cardrunner.main import entry
entry()
"""
_JITTER_SECONDS = 0.02


def race(zygote: Zygote, workspace: Path, *, launches: int, seed: int) -> tuple[Counter[int], list[str]]:
    """One round: the exit codes, and what is wrong."""
    card, go = write_card(workspace, "raced", {"training.epochs": 1}), workspace / "go"
    jitter = random.Random(seed)
    started = [
        zygote.code(_CODE, go, jitter.uniform(0, _JITTER_SECONDS), "launch", card, "--quiet", cwd=workspace)
        for _ in range(launches)
    ]
    go.touch()
    codes = Counter(process.wait(timeout=600) for process in started)
    folder = RunFolder(workspace / "runs" / "raced")
    counts = Counter(event.event for event in Ledger(folder.ledger).events())
    wrong = [
        f"{name} happened {counts[name]} times"
        for name in ("created", "submitted", "job", "attempt_started", "attempt_ended", "finished")
        if counts[name] != 1
    ]
    wrong += [f"{path.name} was left behind" for path in folder.root.parent.iterdir() if path != folder.root]
    if codes != Counter({0: 1, NameTaken.exit_code: launches - 1}):
        wrong.append(f"exit codes {dict(codes)}")
    if (state := derive_status(folder).state) != "completed":
        wrong.append(f"the run is {state}")
    return codes, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Race and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launches", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    broken = 0
    with forking() as zygote:
        for number in range(options.rounds):
            with TemporaryDirectory() as workspace:
                codes, wrong = race(zygote, Path(workspace), launches=options.launches, seed=options.seed + number)
            broken += bool(wrong)
            print(f"round {number + 1}: {dict(sorted(codes.items()))} {'; '.join(wrong) or 'ok'}", flush=True)
    print(f"{options.rounds - broken} of {options.rounds} rounds with exactly one run of {options.launches} launches")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
