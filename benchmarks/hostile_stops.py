"""Stops scripts of usual shapes and with destructive habits at random moments, and compares with a table.

    python -m benchmarks.hostile_stops --stops 140 --seed 7
    python -m benchmarks.hostile_stops --stops 10 --only Picky

Before the first stop it prints what is right for each. Each run is launched under a signed card with the commands of
the command line, stopped at a random moment or within 50 ms of a validation row, and resumed until it ends. Then its
newest usable checkpoint must have loaded, the resumed run must reach the same last step with each row once, nothing may
be left running, and `cardrunner verify` must find no difference.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.hostile_set_ups import EARLY, ITERS, MANNERS, RIGHT, SHAPES, Manner, Shape, saved_step
from benchmarks.runs_of_toys import forking
from benchmarks.script_processes import command_line, first_of, processes, send, summary
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.status import derive_status
from cardrunner.workloads.command.checkpoints import CheckpointRules
from cardrunner.workloads.command.resuming import choose
from tests.conftest import Forked, Zygote

_PATIENCE: Final = 120.0
_MOST_RESUMES: Final = 4
_SECONDS: Final = 5.0
"""About how long a run takes after its first line."""
_DOCUMENTED: Final[dict[Manner, frozenset[int]]] = {
    "verdict": frozenset({5}),
    "person": frozenset({0, 5}),
    "interrupt": frozenset({0, 130}),
    "script": frozenset({0, 7}),
    "worker": frozenset({0, 7, 8}),
    "everything": frozenset({0, -9}),
}
"""Exit codes of the launch; 0 for a run that was done by then."""


@dataclass(frozen=True)
class Stop:
    """One stop that was drawn."""

    number: int
    name: str
    manner: Manner
    at_row: bool
    share: float
    """When, as a share of the run."""

    @property
    def shape(self) -> Shape:
        """What its card says, and what is right."""
        return SHAPES[self.name]

    def __str__(self) -> str:
        when = "at a validation row" if self.at_row else f"{self.share:.0%} on"
        return f"{self.number}: {self.name}, {self.manner}, {when}"


def drawn(names: Sequence[str], stops: int, chance: random.Random) -> Iterator[Stop]:
    """Stops in turn over the shapes, every third at a row."""
    for number in range(stops):
        name = names[number % len(names)]
        manner = chance.choice(SHAPES[name].manners)
        yield Stop(number, name, manner, manner == "verdict" or chance.random() < 1 / 3, chance.uniform(0.02, 0.9))


@dataclass
class Trial:
    """One stop in a workspace of its own.

    Args:
        stop: which.
        root: the workspace; an empty folder.
        zygote: starts the commands.
    """

    stop: Stop
    root: Path
    zygote: Zygote
    told: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def run(self) -> Trial:
        """Launch, stop, check, resume, check."""
        began = time.monotonic()
        try:
            self._run()
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}")
        finally:
            if hasattr(self, "folder"):
                send(processes(self.folder), signal.SIGKILL)
        self.seconds = time.monotonic() - began
        return self

    def __str__(self) -> str:
        faults = "".join(f"; FAULT: {fault}" for fault in self.faults)
        return f"{self.stop}: {', '.join(self.told)} ({self.seconds:.0f} s){faults}"

    def check(self, right: object, fault: str) -> None:
        """Note a fault unless something is as it should be."""
        if not right:
            self.faults.append(fault)

    def command(self, *words: str, code: int | None = 0) -> str:
        """Run a command of the command line; what it printed."""
        self.code, out, err = self._typed(*words).finish()
        if code is not None and self.code != code:
            raise RuntimeError(f"cardrunner {words[0]} ended with {self.code}: {(out + err)[-600:]}")
        return out + err

    def _typed(self, *words: str) -> Forked:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the cards' python
        return self.zygote.command(*words, cwd=self.root, env={"PATH": path, "PYTHONPATH": None})

    def _run(self) -> None:
        verdict_at = max(1, int(self.stop.share * ITERS)) if self.stop.manner == "verdict" else None
        card = self.stop.shape.make(self.stop.name, self.root, verdict_at=verdict_at)
        self.check(
            ("a stop loses the run" in self.command("plan", card)) == (self.stop.shape.right == "lost"), "plan is wrong"
        )
        self.command("code", card, "--write")
        self.command("sign", card, "--as", "reviewer", "--yes")
        self.folder = RunFolder(self.root / "runs" / self.stop.name.lower())
        launched = self._typed("launch", card)
        self._strike(launched)
        code = launched.wait()
        self._check_stopped(code)
        self._resume()
        self._check_end()

    # ------------------------------------------------------------ the stop

    def _lines(self) -> int:
        try:
            return len(re.findall(self.stop.shape.row.encode(), self.folder.script_log.read_bytes(), re.MULTILINE))
        except OSError:
            return 0

    def _wait(self, condition: Callable[[], bool], launched: Forked) -> None:
        until = time.monotonic() + _PATIENCE
        while not condition() and launched.poll() is None:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing came in {_PATIENCE:.0f} s")
            time.sleep(0.01)

    def _strike(self, launched: Forked) -> None:
        if self.stop.manner == "verdict":
            return
        self._wait(lambda: self.folder.script_log.exists() and self.folder.script_log.stat().st_size > 0, launched)
        time.sleep(self.stop.share * _SECONDS)
        if self.stop.at_row:
            before = self._lines()
            self._wait(lambda: self._lines() > before, launched)
            time.sleep(0.05)
        self._send(launched)

    def _send(self, launched: Forked) -> None:
        match self.stop.manner:
            case "person":
                self.command("stop", self.folder.name, code=None)
            case "interrupt":
                send([launched.pid], signal.SIGINT)
            case "script":
                send(first_of(processes(self.folder)), signal.SIGTERM)
            case "worker":
                send([self._pid(self.folder.lease)], signal.SIGKILL)
            case _:
                supervisor, worker = self._pid(self.folder.supervisor), self._pid(self.folder.lease)
                send([supervisor, worker, launched.pid, *processes(self.folder)], signal.SIGKILL)

    def _pid(self, file: Path) -> int:
        return int(json.loads(file.read_bytes())["pid"])

    # ------------------------------------------------------------ after it

    def _check_stopped(self, code: int) -> None:
        self.state = derive_status(self.folder).state
        self.told.append(f"{self.state} at step {self._last_step()}")
        expected = _DOCUMENTED[self.stop.manner] | ({8} if self.stop.shape.right == "paused" else set())
        self.check(code in expected, f"the launch ended with {code}")
        patience = 20 if self.stop.manner == "worker" else 3
        if self.stop.manner != "everything":  # nothing is left that could have ended them; the resume does
            self.check(not (left := self._left(patience)), f"left after the stop: {left}")
        self.saved: int | None = None
        choice = choose(self._rules, self.folder.kept)
        if choice.candidate is not None:
            kept = choice.candidate.kept
            self.saved = saved_step(kept.content if kept is not None else choice.candidate.path)
            torn = ", one torn" if any("not whole" in sentence for sentence in choice.sentences) else ""
            self.told.append(f"{'the kept copy' if kept else 'the newest'} of step {self.saved} loads{torn}")

    def _last_step(self) -> int:
        return max((row["step"] for row in self._rows()), default=0)

    def _rows(self) -> list[dict[str, Any]]:
        if not self.folder.history.exists():
            return []
        return [json.loads(line) for line in self.folder.history.read_text().splitlines()]

    @property
    def _rules(self) -> CheckpointRules:
        out = self.folder.script_out
        return CheckpointRules(at=(str(out / self.stop.shape.at),), root=out, complete=self.stop.shape.complete)

    def _left(self, seconds: float) -> list[str]:
        until = time.monotonic() + seconds
        while (found := processes(self.folder)) and time.monotonic() < until:
            time.sleep(0.1)
        return [command_line(pid) for pid in found]

    def _resume(self) -> None:
        """Resume until it ends; a script that dies of its newest checkpoints is resumed from an older one."""
        self.died = 0
        for _ in range(_MOST_RESUMES):
            if self.state == "completed":
                return
            self.command("resume", self.folder.name, "--acknowledge", "a random stop", code=None)
            self.state = derive_status(self.folder).state
            if self.stop.shape.right == "paused":
                return
            self.died += self.code == 7
        self.check(
            self.state == "completed", f"the resumes ended with {self.code}: {derive_status(self.folder).reason}"
        )

    def _check_end(self) -> None:
        self.check(not (left := self._left(3)), f"left after the resume: {left}")
        rows, right = self._rows(), self.stop.shape.right
        counts = Counter((row["kind"], row["step"]) for row in rows)
        self.check(not (twice := [key for key, count in counts.items() if count > 1]), f"rows twice: {twice[:4]}")
        if right == "paused":
            self._check_paused()
        elif self._ended_early:
            self.told.append("ended early")
            self.check("ended early, at" in self.folder.ledger.read_text(), "it is not said how far it came")
        else:
            steps = [row["step"] for row in rows if row["kind"] == "train"]
            lost = sorted(set(range(1, ITERS + 1)) - set(steps))
            # a killed worker has not read all that is in the pipe
            most = 2 if self.stop.manner in ("worker", "everything") else 0
            self.check(len(lost) <= most and steps == sorted(steps), f"steps are {steps}")
            self.check(steps[-1:] == [ITERS], f"it ended at {steps[-1:]}")
            if lost:
                self.told.append(f"rows {lost} were in the pipe")
            self.check(self.died == 0 or right == "fallback", f"{self.died} resumes died")
            self._check_beginning(right)
        verified = self.command("verify", self.folder.name, code=None)
        self.check("0 differences" in verified, f"verify: {verified[-300:]}")

    @property
    def _ended_early(self) -> bool:
        by_zero = self.stop.shape.exits_zero and self.stop.manner == "script"
        return by_zero and "completed" in self.told[0] and self._last_step() < ITERS

    def _check_paused(self) -> None:
        found = [event["message"] for event in self._events() if event["event"] == "metric_missing"]
        self.check(found and "seen" in found[0], f"no metric is said to be missing: {found}")
        self.told.append(f"{self.state}: {found[0][:60] if found else ''}")

    def _check_beginning(self, right: str) -> None:
        """The resume began where the newest usable checkpoint was, or anew."""
        text = self.folder.ledger.read_text()
        resumed, anew = [event for event in self._events() if event["event"] == "resumed"], "begins anew" in text
        if not resumed and not anew:
            self.check("completed" in self.told[0], "neither resumed nor begun anew")
            self.told.append("was done")
            return
        if right in ("lost", "anew") or self.saved is None:
            self.check(anew and not resumed, "it did not begin anew")
            self.told.append("begun anew")
            return
        self.check(not anew, "it began anew")
        first = resumed[-1]["step"] if resumed else None
        self.told.append(f"resumed at step {first}" + (f" after {self.died} that died" if self.died else ""))
        if right == "resumed" and self.stop.name in ("Folders", "Versions"):  # whose checkpoints tell their step
            self.check(first == self.saved, f"the newest usable one is of step {self.saved}")

    def _events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.folder.ledger.read_text().splitlines()]


def table(names: Sequence[str]) -> str:
    """What is right for each shape, before the first stop."""
    lines = ["| script | stopped by | right |", "|---|---|---|"]
    lines += [f"| {name} | {', '.join(SHAPES[name].manners)} | {_right(SHAPES[name])} |" for name in names]
    return "\n".join(lines)


def _right(shape: Shape) -> str:
    return f"{RIGHT[shape.right]}; {EARLY}" if shape.exits_zero else RIGHT[shape.right]


def told(trials: Sequence[Trial]) -> str:
    """How the stops of each shape went."""
    return summary("script", [(trial.stop.name, trial.stop.at_row, not trial.faults) for trial in trials])


def _tried(stop: Stop, zygote: Zygote, keep: Path | None) -> Trial:
    with TemporaryDirectory(prefix="hostile-stop-", dir=keep, ignore_cleanup_errors=True) as folder:
        trial = Trial(stop, Path(folder), zygote).run()
        print(trial, flush=True)
        return trial


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, each stop and the summary; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=140)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", action="append", choices=SHAPES, help="a shape; may be given several times")
    parser.add_argument("--at-once", type=int, default=3, help="runs at the same time")
    parser.add_argument("--keep", type=Path, help="a folder in which the workspaces stay")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    names = options.only or list(SHAPES)
    print(f"seed {seed}\n\n{table(names)}\n\n{_manners()}\n", flush=True)
    with forking() as zygote, ThreadPoolExecutor(options.at_once) as pool:
        stops = drawn(names, options.stops, random.Random(seed))
        trials = list(pool.map(partial(_tried, zygote=zygote, keep=options.keep), stops))
    print(f"\n{told(trials)}")
    return int(any(trial.faults for trial in trials))


def _manners() -> str:
    return "\n".join(f"{name}: {says}" for name, says in MANNERS.items())


if __name__ == "__main__":
    sys.exit(main())
