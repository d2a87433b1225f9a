"""Signals at any moment of a launch: the state, the exit code and the resume have to be as documented.

    python -m benchmarks.sudden_ends --runs 100

Each run gets one kind of ending at a random moment of its life, start-up included: SIGINT or SIGTERM to the launch,
SIGINT twice, SIGKILL to the worker, to the launch, to its supervisor, or to all of them. Then the run must not read as
live, must have its results card (where everything was killed: after ``finish``), and must resume to the history and the
weights of an undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.runs_of_toys import forking, write_card
from cardrunner.runs.events import Created
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import History
from cardrunner.runs.lease import is_live, is_supervised, read_lease, read_supervision
from cardrunner.runs.ledger import Ledger
from cardrunner.runs.status import derive_status
from tests.conftest import Forked, Zygote

CHANGES = {"training.toy.step_ms": 80, "training.checkpoint_every": "3 steps"}
_QUIET_SECONDS = 60.0


@dataclass(frozen=True)
class Kind:
    """A way to end a launch.

    Args:
        codes: exit codes of the launch that are documented for it, beside 0 for one that was done already.
        leaves_results: the results card is made without further action.
    """

    name: str
    strike: Callable[[Forked, RunFolder, random.Random], None]
    codes: frozenset[int]
    leaves_results: bool = True


def _signal(*numbers: int) -> Callable[[Forked, RunFolder, random.Random], None]:
    def strike(launch: Forked, folder: RunFolder, chance: random.Random) -> None:  # noqa: ARG001
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                launch.send_signal(number)
            time.sleep(chance.uniform(0.0, 0.3))

    return strike


def _kill(*who: str) -> Callable[[Forked, RunFolder, random.Random], None]:
    def strike(launch: Forked, folder: RunFolder, chance: random.Random) -> None:  # noqa: ARG001
        for name in who:
            pid = launch.pid if name == "launch" else _pid(folder, name)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    return strike


def _pid(folder: RunFolder, name: str) -> int | None:
    body, held = (
        (read_lease(folder), is_live(folder)) if name == "worker" else (read_supervision(folder), is_supervised(folder))
    )
    return body.pid if body is not None and held else None


# -2 and -15: it was still starting and had no handler yet, or had nothing left to wait for
KINDS = (
    Kind("SIGINT", _signal(signal.SIGINT), frozenset({130, -2})),
    Kind("SIGINT twice", _signal(signal.SIGINT, signal.SIGINT), frozenset({130, -2}), leaves_results=False),
    Kind("SIGTERM", _signal(signal.SIGTERM), frozenset({143, -15})),
    Kind("SIGKILL worker", _kill("worker"), frozenset({7})),
    Kind("SIGKILL launch", _kill("launch"), frozenset({-9})),
    Kind("SIGKILL supervisor", _kill("supervisor"), frozenset({7}), leaves_results=False),
    Kind("SIGKILL everything", _kill("launch", "supervisor", "worker"), frozenset({-9}), leaves_results=False),
)


def trial(
    zygote: Zygote, workspace: Path, kind: Kind, *, delay: float, chance: random.Random
) -> tuple[int, Iterator[str]]:
    """One run and its end: the exit code of the launch, and the differences from what is documented."""
    card = write_card(workspace, "struck", CHANGES)
    folder = RunFolder(workspace / "runs" / "struck")
    launch = zygote.command("launch", card, "--quiet", cwd=workspace)
    time.sleep(delay)
    kind.strike(launch, folder, chance)
    code = launch.wait(timeout=120)
    return code, _faults(zygote, workspace, folder, kind, code)


def _faults(zygote: Zygote, workspace: Path, folder: RunFolder, kind: Kind, code: int) -> Iterator[str]:
    if code not in kind.codes | {0}:
        yield f"exit code {code}"
    if not folder.root.exists():  # it had not begun
        return
    until = time.monotonic() + _QUIET_SECONDS
    while (derive_status(folder).live or is_supervised(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    status = derive_status(folder)
    if status.live:
        yield f"it still reads as {status.state}"
    if status.state not in ("completed", "interrupted", "failed"):
        yield f"state {status.state}"
    if not folder.results.exists():
        if status.attempts and kind.leaves_results and code != -signal.SIGTERM:
            yield "no results card"
        zygote.command("finish", "struck", "--quiet", cwd=workspace).wait()
        if not folder.results.exists():
            yield "no results card after finish"
    if status.state != "completed" and (ended := zygote.command("resume", "struck", "--quiet", cwd=workspace).wait()):
        yield f"resume ended with {ended}"
    yield from _differences(folder, workspace)


def _differences(folder: RunFolder, workspace: Path) -> Iterator[str]:
    plain = RunFolder(workspace.parent / "plain" / "runs" / "plain")
    if derive_status(folder).weights_sha256 != derive_status(plain).weights_sha256:
        yield "other weights"
    if _facts(folder) != _facts(plain):
        yield "another history"
    if len(Ledger(folder.ledger).events(Created)) != 1:
        yield "created more than once"


def _facts(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(row.model_dump(exclude={"clock"}))) for row in History(folder.history).rows()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Strike and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    chance, broken, seen = random.Random(options.seed), 0, Counter[str]()
    with forking() as zygote, TemporaryDirectory() as place:
        root = Path(place)
        began = time.monotonic()
        plain = zygote.command("launch", write_card(root / "plain", "plain", CHANGES), "--quiet", cwd=root / "plain")
        if plain.wait() != 0:
            raise SystemExit(f"the undisturbed run failed: {plain.err.read_text()}")
        whole = time.monotonic() - began
        for number in range(options.runs):
            kind, delay = KINDS[number % len(KINDS)], chance.uniform(0.0, whole)
            (workspace := root / f"run-{number}").mkdir()
            code, faults = trial(zygote, workspace, kind, delay=delay, chance=chance)
            wrong = list(faults)
            broken += bool(wrong)
            seen[f"{kind.name}: {code}"] += 1
            if wrong:
                print(f"run {number}: {kind.name} after {delay:.2f} s, exit {code}: {'; '.join(wrong)}", flush=True)
    print("\n".join(f"{name} ({count})" for name, count in sorted(seen.items())))
    print(f"{options.runs - broken} of {options.runs} runs ended and resumed as documented")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
