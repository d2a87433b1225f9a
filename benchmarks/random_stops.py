"""Stops scripts under signed cards at random moments: what they saved loads, and a resume reaches the same last step.

    python -m benchmarks.random_stops --stops 60 --at-rows 20 --seed 7
    python -m benchmarks.random_stops --stops 10 --only xgboost

Before the first stop it prints what is right for each set-up: resumed, or lost, as its plan said. A stop is a verdict
on a row, a person's ``cardrunner stop``, SIGTERM to the script itself, or SIGKILL to the worker or to everything; it
comes at a random moment, or right after the line of a validation. After it no process may be left, the newest usable
checkpoint has to load as the script loads it, and ``cardrunner resume`` has to reach the same last step with each row
written once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from benchmarks.script_processes import command_line, first_of, processes, send, summary
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.status import LIVE_STATES, derive_status
from cardrunner.workloads.command.checkpoints import CheckpointRules
from cardrunner.workloads.command.resuming import choose

Manner = Literal["verdict", "person", "script", "worker", "everything"]
MANNERS: Final[dict[Manner, str]] = {
    "verdict": "a kill threshold on a row",
    "person": "`cardrunner stop`",
    "script": "SIGTERM to the script, which nothing waited for",
    "worker": "SIGKILL to the worker",
    "everything": "SIGKILL to the worker, its supervisor and the script, as when the machine is lost",
}
OUTCOMES: Final = {
    "resumed": "resumed from the newest usable checkpoint; begun anew where none was saved",
    "lost": "lost, as the plan said: begun anew",
}
LOST: Final = "a stop loses the run"
_PATIENCE: Final = 240.0
_MOST_RESUMES: Final = 4
_POLL: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """A script with its card, as random stops need to know it."""

    name: str
    """Of the run too."""
    make: Callable[[Path], Path]
    """Makes its workspace in an empty folder: the script, its data, and the card, whose path in it is returned."""
    last_step: int
    """The last step that is recorded of a run that nothing stops."""
    metric: str
    """A validation metric with values above -1000, on which the threshold of a verdict stands."""
    row: str
    """A pattern of the line of `lines` that is written at each validation."""
    lines: str = "script.log"
    """Where those lines come first: files in the run folder."""
    validations: int
    """How many validations a run that nothing stops records."""
    outcome: Literal["resumed", "lost"] = "resumed"
    """What is right after a stop; see `OUTCOMES`."""
    checkpoints: tuple[str, ...] = ()
    """Patterns of its checkpoints in the folder for what it writes."""
    complete: tuple[str, ...] = ()
    """Files that a whole checkpoint folder has."""
    load: Callable[[Path], int | None] = lambda _: None
    """Loads a checkpoint as its script does, and returns its step; fails for one that is not usable."""
    manners: tuple[Manner, ...] = tuple(MANNERS)
    """How it may be stopped."""
    resume_codes: tuple[int, ...] = (0,)
    """Exit codes of a resume that is right."""


@dataclass(frozen=True)
class Stop:
    """One stop that was drawn."""

    number: int
    set_up: SetUp
    manner: Manner
    at_row: bool
    share: float
    """When, as a share of the run."""
    within: float
    """How far on from one validation to the next, for one that is not at a row."""

    def __str__(self) -> str:
        when = "at a validation row" if self.at_row else f"{self.share:.0%} on"
        return f"{self.number}: {self.set_up.name}, {self.manner}, {when}"


@dataclass
class Outcome:
    """What came of a stop."""

    stop: Stop
    told: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def check(self, right: object, fault: str) -> None:
        """Note a fault unless something is as it should be."""
        if not right:
            self.faults.append(fault)

    def __str__(self) -> str:
        return "; ".join(
            [f"{self.stop}: {', '.join(self.told)} ({self.seconds:.0f} s)", *map("FAULT: {}".format, self.faults)]
        )


def drawn(set_ups: Sequence[SetUp], stops: int, at_rows: int, chance: random.Random) -> Iterator[Stop]:
    """Stops in turn over the set-ups, as many of them at a validation row as asked for."""
    rows = set(chance.sample(range(stops), at_rows))
    for number in range(stops):
        set_up = set_ups[number % len(set_ups)]
        manner = chance.choice(set_up.manners)
        # a verdict is always on a row
        yield Stop(
            number, set_up, manner, number in rows or manner == "verdict", chance.uniform(0.05, 0.75), chance.random()
        )


class Trial:
    """One stop in a workspace of its own.

    Args:
        folder: empty; the workspace.
        stop: which.
    """

    def __init__(self, folder: Path, stop: Stop) -> None:
        self.root, self.stop, self.set_up = folder, stop, stop.set_up
        self.outcome = Outcome(stop)

    def run(self) -> Outcome:
        """Launch, stop, check, resume, check."""
        began = time.monotonic()
        try:
            self._run()
        except Exception as error:
            self.outcome.faults.append(f"{type(error).__name__}: {error}")
        finally:
            self._clean()
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _run(self) -> None:
        self.cardrunner("launch", self.signed(), "--detach")
        self.end_it()
        self._check_stopped()
        self._resume()
        self._check_resumed()

    def signed(self) -> str:
        """Make the workspace and sign its card; the card's path there."""
        card = self.set_up.make(self.root)
        if self.stop.manner == "verdict":
            self._add_threshold(self.root / card)
        said = self.cardrunner("plan", str(card))
        self.outcome.check((LOST in said) == (self.set_up.outcome == "lost"), "the plan says otherwise")
        self.cardrunner("code", str(card), "--write")
        self.cardrunner("sign", str(card), "--as", "reviewer", "--yes")
        return str(card)

    def cardrunner(self, *words: str, code: int | None = 0) -> str:
        """Run the installed command in the workspace; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "cardrunner", *words],
            cwd=self.root,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},  # the cards' python
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        self.code = done.returncode
        if code is not None and done.returncode != code:
            raise RuntimeError(
                f"cardrunner {words[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
            )
        return done.stdout + done.stderr

    # ------------------------------------------------------------ the stop

    def _add_threshold(self, card: Path) -> None:
        """A threshold that every value exceeds, once, at a random step."""
        step = int(self.stop.share * self.set_up.last_step)
        rule = (
            f"  - {{metric: {self.set_up.metric}, above: -1000, after: {step} steps, action: stop, why: a random stop}}"
        )
        text = card.read_text()
        card.write_text(text.replace("kill_thresholds:\n", f"kill_thresholds:\n{rule}\n", 1))

    def rows(self) -> int:
        """Validations that the script has written so far, as its own files have them."""
        pattern = re.compile(self.set_up.row.encode(), re.MULTILINE)
        found = 0
        for path in self.folder.root.glob(self.set_up.lines):
            try:
                found += len(pattern.findall(path.read_bytes()))
            except OSError:
                continue
        return found

    def live(self) -> bool:
        """Whether an attempt runs."""
        return derive_status(self.folder).state in LIVE_STATES

    def _wait(self, condition: Callable[[], bool], *, poll: float = _POLL) -> None:
        until, looked = time.monotonic() + _PATIENCE, time.monotonic()
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"nothing came in {_PATIENCE:.0f} s")
            if time.monotonic() - looked > 2:
                looked = time.monotonic()
                if not self.live():
                    return
            time.sleep(poll)

    def end_it(self) -> None:
        """Stop the run that was launched, in the manner and at the moment that were drawn."""
        self.folder = RunFolder.existing(self.root / "runs", self.set_up.name)
        if self.stop.manner != "verdict":
            wanted = 1 + int(self.stop.share * (self.set_up.validations - 1))
            self._wait(lambda: self.rows() >= wanted - 1)
            began = time.monotonic()
            self._wait(lambda: self.rows() >= wanted)
            if not self.stop.at_row:  # somewhere between this validation and the next
                time.sleep(self.stop.within * min(30.0, time.monotonic() - began))
            self._send()
        self._wait(lambda: not self.live(), poll=0.3)
        self.state = derive_status(self.folder).state

    def _send(self) -> None:
        if self.stop.manner == "person":
            self.cardrunner("stop", self.set_up.name, code=None)
            return
        script = first_of(processes(self.folder))
        if self.stop.manner == "script":
            send(script, signal.SIGTERM)
            return
        lease = json.loads(self.folder.lease.read_bytes())["pid"]
        supervisor = json.loads(self.folder.supervisor.read_bytes())["pid"]
        if self.stop.manner == "everything":
            send([supervisor, lease, *processes(self.folder)], signal.SIGKILL)
        else:
            send([lease], signal.SIGKILL)

    # ------------------------------------------------------------ after it

    def _check_stopped(self) -> None:
        self.seen = self.rows()
        self.outcome.told.append(f"{self.state} after {self.seen} validations")
        left = self.left(20 if self.stop.manner in ("worker", "everything") else 3)
        if self.stop.manner != "everything":  # then nothing is left that could have ended them; the next attempt does
            self.outcome.check(not left, f"processes left after the stop: {left}")
        self.saved: int | None = None
        if self.set_up.outcome == "lost":
            return
        choice = choose(self.rules, self.folder.kept)
        if choice.candidate is None:
            self.outcome.check(self.seen <= 2, f"no usable checkpoint: {'; '.join(choice.sentences)}")
            self.outcome.told.append("no checkpoint yet")
            return
        kept = choice.candidate.kept
        self.saved = self.set_up.load(kept.content if kept is not None else choice.candidate.path)
        torn = any("not whole" in sentence for sentence in choice.sentences)
        self.outcome.told.append(
            f"{'the kept copy' if kept else 'the newest'} loads, step {self.saved}" + ", one is torn" * torn
        )

    @property
    def rules(self) -> CheckpointRules:
        """What its card says about checkpoints."""
        out = self.folder.script_out
        at = tuple(str(out / pattern) for pattern in self.set_up.checkpoints)
        return CheckpointRules(at=at, root=out, complete=self.set_up.complete)

    def left(self, seconds: float) -> list[str]:
        """What still runs of the script, after as long as it may take to end."""
        until = time.monotonic() + seconds
        while (found := processes(self.folder)) and time.monotonic() < until:
            time.sleep(0.1)
        return [command_line(pid) for pid in found]

    def _resume(self) -> None:
        if self.state in ("completed", "finished"):
            return
        for _ in range(_MOST_RESUMES):
            self.cardrunner("resume", self.set_up.name, "--acknowledge", "a random stop", code=None)
            if self.code in self.set_up.resume_codes:
                return
            self.outcome.told.append(f"resume ended with {self.code}")
            if self.code not in (5, 8):
                break
        raise RuntimeError(f"the resume ended with {self.code}: {derive_status(self.folder).reason}")

    def _check_resumed(self) -> None:
        rows = [json.loads(line) for line in self.folder.history.read_text().splitlines()]
        keys = Counter((row["kind"], row["step"]) for row in rows)
        self.outcome.check(
            rows and rows[-1]["step"] == self.set_up.last_step, f"ended at {rows[-1]['step'] if rows else 0}"
        )
        twice = [f"{kind} {step}" for (kind, step), count in keys.items() if count > 1]
        self.outcome.check(not twice, f"rows twice: {twice[:4]}")
        for kind in ("train", "validation"):
            steps = [row["step"] for row in rows if row["kind"] == kind]
            self.outcome.check(steps == sorted(steps), f"steps of {kind} go back")
        found = sum(row["kind"] == "validation" for row in rows)
        self.outcome.check(found == self.set_up.validations, f"{found} rows of validations")
        self._check_beginning(rows)
        self.outcome.check(not (left := self.left(3)), f"processes left after the resume: {left}")
        verified = self.cardrunner("verify", self.set_up.name, code=None)
        differs = re.findall(r"^  (?:differs|missing) .*\n.*", verified, re.MULTILINE)
        self.outcome.check(" 0 differences" in verified, f"verify: {' '.join(' '.join(differs).split()) or verified}")

    def _check_beginning(self, rows: Sequence[dict[str, Any]]) -> None:
        """The resume began where the newest usable checkpoint was."""
        if self.state in ("completed", "finished"):
            self.outcome.told.append("it had completed")
            return
        events = [json.loads(line) for line in self.folder.ledger.read_text().splitlines()]
        resumed = [event for event in events if event.get("event") == "resumed"]
        anew = "begins anew" in self.folder.ledger.read_text()
        self.outcome.check(anew or resumed, "neither resumed nor begun anew")
        if self.saved is None:
            self.outcome.check(anew, "it did not begin anew")
            self.outcome.told.append("begun anew")
            return
        self.outcome.check(not anew, "it began anew")
        stale = [row["step"] for row in rows if row["step"] > self.saved and row["clock"]["attempt"] == 1]
        self.outcome.check(not stale, f"rows after step {self.saved} are those of the attempt before: {stale[:4]}")
        self.outcome.told.append(f"resumed, ended at {rows[-1]['step']}")

    def _clean(self) -> None:
        """End what is left, however the trial went."""
        if hasattr(self, "folder"):
            send(processes(self.folder), signal.SIGKILL)


def table(set_ups: Sequence[SetUp]) -> str:
    """What is right for each set-up, before the first stop."""
    lines = ["| set-up | stopped by | right |", "|---|---|---|"]
    lines += [f"| {one.name} | {', '.join(one.manners)} | {OUTCOMES[one.outcome]} |" for one in set_ups]
    return "\n".join(lines)


@contextmanager
def workspace(keep: Path | None, number: int) -> Iterator[Path]:
    """An empty folder for a trial, which goes with its end unless it is to be kept."""
    if keep is not None:
        (keep / str(number)).mkdir(parents=True)
        yield keep / str(number)
        return
    with TemporaryDirectory(prefix="random-stop-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=60)
    parser.add_argument("--at-rows", type=int, help="at least as many right after a validation; a third by default")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--set-ups", default="benchmarks.set_ups", help="the module with SET_UPS")
    parser.add_argument("--only", action="append", help="a set-up; may be given several times")
    parser.add_argument("--keep", type=Path, help="a folder in which the workspaces stay")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    every: tuple[SetUp, ...] = importlib.import_module(options.set_ups).SET_UPS
    set_ups = [set_up for set_up in every if not options.only or set_up.name in options.only]
    at_rows = options.stops // 3 if options.at_rows is None else options.at_rows
    print(f"seed {seed}\n\n{table(set_ups)}\n", flush=True)
    outcomes = []
    for stop in drawn(set_ups, options.stops, at_rows, random.Random(seed)):
        with workspace(options.keep, stop.number) as folder:
            outcomes.append(Trial(folder, stop).run())
        print(outcomes[-1], flush=True)
    tried = [(outcome.stop.set_up.name, outcome.stop.at_row, not outcome.faults) for outcome in outcomes]
    print(f"\n{summary('set-up', tried)}")
    return int(any(outcome.faults for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
