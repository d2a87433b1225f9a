"""Whenever a script is stopped, it can go on: with quiet stops, with bare ones, and when it is killed."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from cardrunner.workloads.command.checkpoints import CheckpointRules, find
from cardrunner.workloads.command.keeping import kept_in
from cardrunner.workloads.command.process import Patience
from cardrunner.workloads.command.quiet import Look, Quiet, QuietTimes, wait_for_quiet
from cardrunner.workloads.command.resuming import choose, put_in_place
from tests.workloads.command.conftest import Attempt, saved_step

STEPS = 12
TIMES = QuietTimes(settled=0.02, still=1.0, longest=3.0)
SLOW = {
    "overwriter": ("ckpt.pt", ()),
    "slow_folders": ("checkpoint-*", ("trainer_state.json",)),
}


def rules_of(name: str, out: Path) -> CheckpointRules:
    glob, complete = SLOW[name]
    return CheckpointRules(at=(str(out / glob),), root=out, complete=complete)


def steps_in(lines: list[str]) -> list[int]:
    return [int(match[1]) for line in lines if (match := re.search(r"step'?:? (\d+)", line))]


def stop(attempt: Attempt, rules: CheckpointRules, manner: str, times: QuietTimes = TIMES) -> None:
    if manner == "quiet":

        def look() -> Look:
            attempt.keeper.look()
            return Look(tuple(entry.mark for entry in find(rules)[0]), len(steps_in(attempt.lines)))

        quiet = Quiet(time.monotonic(), look(), times)
        wait_for_quiet(quiet, look, lambda: attempt.script.poll() is not None, sleep=lambda _: time.sleep(0.004))
    attempt.end(Patience(grace=0 if manner == "killed" else 5, helpers=0.2, poll=0.01))


def check_a_stop(folder: Path, name: str, manner: str, moment: float, at_row: bool) -> str:
    out = folder / "out"
    out.mkdir(parents=True)
    rules = rules_of(name, out)
    first = Attempt.start(folder, rules, name, out, STEPS)
    began = time.monotonic()
    first.watch(lambda: bool(kept_in(folder / "kept")))
    first.watch(lambda: time.monotonic() - began > moment)
    if at_row:
        seen = len(first.lines)
        first.watch(lambda: len(first.lines) > seen)
    stop(first, rules, manner)
    assert first.script.processes() == []
    choice = choose(rules, folder / "kept")
    assert choice.candidate is not None, choice.sentences
    put_in_place(choice.candidate, rules, folder / "kept")
    step = saved_step(choice.candidate.path)
    second = Attempt.start(folder, rules, name, out, STEPS, "--resume", choice.candidate.path)
    second.watch(lambda: False)
    assert second.end().code == 0
    assert steps_in(second.lines) == list(range(step + 1, STEPS + 1))
    assert saved_step(find(rules)[0][0].path) == STEPS
    torn = "torn, " if any("not whole" in sentence for sentence in choice.sentences) else ""
    return f"{torn}resumed after {step} of {steps_in(first.lines)[-1]}"


@pytest.mark.parametrize("moments", [15, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_the_newest_usable_checkpoint_loads_whenever_the_script_is_stopped(tmp_path: Path, moments: int) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    for number in range(moments):
        name = chance.choice(("overwriter", "overwriter", "slow_folders"))
        manner = chance.choice(("quiet", "asked", "killed"))
        moment, at_row = chance.uniform(0.1, 0.7), chance.random() < 0.4
        shown = f"{number}: {name}, {manner}, {moment:.3f} s, at a row: {at_row}"
        print(shown, check_a_stop(tmp_path / str(number), name, manner, moment, at_row))  # noqa: T201


def test_a_verdict_on_a_row_waits_until_the_checkpoint_of_that_row_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAUSE", "0.6")
    out = tmp_path / "out"
    out.mkdir()
    rules = rules_of("overwriter", out)
    attempt = Attempt.start(tmp_path, rules, "overwriter", out, 50)
    attempt.watch(lambda: len(attempt.lines) == 2)
    stop(attempt, rules, "quiet", QuietTimes(settled=0.2, still=5, longest=10))
    choice = choose(rules, tmp_path / "kept")
    assert choice.sentences == ()
    assert saved_step(out / "ckpt.pt") == steps_in(attempt.lines)[-1] == 3
