"""The runs that ``benchmarks.damage`` damages: one card, ended in six ways, each with an earlier copy of itself.

Every run is of the toy workload, approved under ``policy: ssh`` by one key, with a card that extends another, a check
and a kill threshold; so its folder has every kind of file that a run on this machine leaves.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.runs_of_toys import ROOT
from cardrunner.runs.folder import RunFolder
from tests.conftest import Zygote, toy_text

RUN = "toy-run"
_ACKNOWLEDGED = ("--acknowledge", "we looked at it")
_RULE = {"metric": "val_loss", "not_decreasing_for": "1 epoch", "min_delta": 9, "after": "1 epoch"}


@dataclass(frozen=True, kw_only=True)
class Life:
    """A command of a run's life, and how it is cut short.

    Args:
        words: the command after ``cardrunner``.
        strike: what happens to the process in its step `at`: a signal; at step 0 it is killed before the first attempt.
        copy_at: the step in which the earlier copy is made; 0 for one after the command.
    """

    words: tuple[str, ...]
    strike: int | None = None
    at: int = 0
    copy_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """A way in which a run can stand there.

    Args:
        says: in words.
        lives: the commands that lead to it.
        resume: the command that goes on with it.
        changes: fields of its card.
        executor: where it runs.
        script: whether it runs `SCRIPT` instead of the toy workload.
    """

    says: str
    lives: tuple[Life, ...]
    resume: tuple[str, ...] = ("resume", RUN)
    changes: Mapping[str, Any] = field(default_factory=dict)
    executor: str = "inline"
    script: bool = False


SCRIPT = """
import argparse, json, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--out", type=pathlib.Path)
parser.add_argument("--settings", type=pathlib.Path)
parser.add_argument("--seed", type=int)
parser.add_argument("--resume", type=pathlib.Path)
options = parser.parse_args()
first = 1 + (json.loads(options.resume.read_text())["step"] if options.resume else 0)
import cardrunner_script
for step in range(first, json.loads(options.settings.read_text())["iters"] + 1):
    print(f"iter {step}", flush=True)
    validation = {"val_loss": options.seed / step} if step % 8 == 0 else {}
    cardrunner_script.report(step=step, loss=options.seed / step, **validation)
    if step % 8 == 0:
        (options.out / f"step-{step}.json").write_text(json.dumps({"step": step, "seed": options.seed}))
    time.sleep(0.15)
"""
SCRIPT_CARD: Mapping[str, Any] = {
    "workload": "command",
    "code": {"folder": ".", "files": ["*.py"]},
    "training": {
        "command": ["python", "train.py", "--out", "{out}", "--settings", "{file:settings.json}", "--seed", "{seed}"],
        "parameters": {"iters": 32},
        "files": {"settings.json": {"iters": "{iters}"}},
        "resume": ["--resume", "{checkpoint}"],
        "checkpoints": {"at": "{out}/step-*.json"},
        "length": {"steps": "{iters}"},
        "metrics": [
            {"name": "val_loss", "direction": "min"},
            {"name": "loss", "direction": "min", "at": "log"},
        ],
        "select": {"metric": "val_loss", "mode": "min"},
        "script_module": True,
        "stop": {"grace": "3s"},
    },
    "infra": {"platform": "local", "executor": "inline"},
    "timing": {"total": "10s"},
    "targets": [{"metric": "val_loss", "below": 9.0}],
}
_KEY = "../../mattie"
LAUNCH = ("launch", f"runcards/{RUN}.yaml")
STATES: Mapping[str, State] = {
    "created": State(
        says="everything was killed between the making of the folder and the first attempt",
        lives=(Life(words=LAUNCH, strike=signal.SIGKILL),),
    ),
    "crashed": State(
        says="everything was killed in the middle of epoch 2, between two saves",
        lives=(Life(words=LAUNCH, strike=signal.SIGKILL, at=15, copy_at=11),),
    ),
    "interrupted": State(
        says="interrupted, resumed in the middle of an epoch, and interrupted again (with a supervisor)",
        lives=(
            Life(words=LAUNCH, strike=signal.SIGINT, at=6, copy_at=0),
            Life(words=("resume", RUN), strike=signal.SIGINT, at=8),
        ),
        executor="local",
    ),
    "stopped": State(
        says="stopped by a kill threshold after epoch 2",
        lives=(Life(words=LAUNCH, copy_at=11),),
        resume=("resume", RUN, *_ACKNOWLEDGED),
        changes={"kill_thresholds": [{**_RULE, "action": "stop"}]},
    ),
    "completed": State(says="trained to its end", lives=(Life(words=LAUNCH, copy_at=20),)),
    "script stopped": State(
        says="a script, stopped by a kill threshold after its second checkpoint",
        lives=(Life(words=LAUNCH),),
        resume=("resume", RUN, *_ACKNOWLEDGED),
        changes={"kill_thresholds": [{"metric": "loss", "above": -1, "after": "17 steps", "action": "stop"}]},
        script=True,
    ),
    "script completed": State(says="a script that ran to its end", lives=(Life(words=LAUNCH),), script=True),
    "collected": State(
        says="completed, then downloaded, reported, and its seal signed with a key",
        lives=(
            Life(words=LAUNCH, copy_at=0),
            Life(words=("download", RUN, "latest")),
            Life(words=("report", RUN)),
            Life(words=("seal", RUN, "--key", _KEY)),
        ),
    ),
}


@dataclass(frozen=True)
class Kept:
    """A run in one state, in its workspace; nothing may change it.

    Args:
        state: which.
        workspace: its workspace, with one run.
        older: the run folder as it was earlier; absent where the run has no earlier time.
        other: the folder of another run in the same state, of the same name and another seed.
    """

    state: str
    workspace: Path
    older: Path
    other: Path

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.workspace / "runs" / RUN)


def make_all(place: Path, zygote: Zygote, names: Sequence[str]) -> dict[str, Kept]:
    """Runs in the named states; each is made once, also by a later call.

    Raises:
        RuntimeError: one did not come to its state.
    """
    made = {}
    for name in names:
        for seed in (1, 2):
            whole = place / f"{name}-{seed}"
            if not whole.is_dir():
                _make(begun := place / f".{name}-{seed}.{os.getpid()}", zygote, STATES[name], seed)
                begun.rename(whole)
        own, other = place / f"{name}-1", place / f"{name}-2" / "workspace" / "runs" / RUN
        made[name] = Kept(name, own / "workspace", own / "older", other)
    return made


def _make(place: Path, zygote: Zygote, state: State, seed: int) -> None:
    shutil.rmtree(place, ignore_errors=True)
    workspace = place / "workspace"
    write_workspace(workspace, state, seed)
    if state.script:
        _command(zygote, workspace, Life(words=("code", LAUNCH[1], "--write")))
    _command(zygote, workspace, Life(words=("check", LAUNCH[1])))
    _command(zygote, workspace, Life(words=("sign", LAUNCH[1], "--as", "mattie", "--key", _KEY, "--yes")))
    for life in state.lives:
        _command(zygote, workspace, life)
    if not (workspace / "runs" / RUN / "ledger.jsonl").is_file():
        raise RuntimeError(f"no run in {workspace}")


def _command(zygote: Zygote, workspace: Path, life: Life) -> None:
    older = workspace.parent / "older"
    strike = life.strike and int(life.strike)
    code = f"from benchmarks.damaged_runs import live; live({strike}, {life.at}, {life.copy_at}, {str(older)!r})"
    code += "; from cardrunner.main import entry; entry()"
    ended, out, err = zygote.code(code, *life.words, cwd=workspace).finish()
    struck: dict[int | None, tuple[int, ...]] = {None: (0, 5), signal.SIGINT: (130,), signal.SIGKILL: (-9,)}
    if ended not in struck[life.strike]:
        raise RuntimeError(f"{' '.join(life.words)} ended with {ended}: {out}{err}")
    if life.copy_at == 0:
        shutil.copytree(workspace / "runs" / RUN, older)


def live(strike: int | None, at: int, copy_at: int | None, older: str) -> None:
    """Prepare this process, a command in its workspace, to be struck and copied on the way."""
    from cardrunner.launching import launch
    from cardrunner.training.loop import Trainer

    if strike is not None and not at:
        vars(launch)["run_attempt"] = lambda *_, **__: os.kill(os.getpid(), strike)
    step, done = Trainer.step, 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        done += 1
        if done == copy_at:
            shutil.copytree(Path("runs") / RUN, older)
        if strike is not None and done == at:
            os.kill(os.getpid(), strike)
        return step(*arguments, **options)

    Trainer.step = counted  # type: ignore[method-assign]


def write_workspace(workspace: Path, state: State, seed: int) -> None:
    """A workspace with a floor, one reviewer, and the card that is launched."""
    (workspace / "runcards").mkdir(parents=True)
    key = workspace / _KEY
    if not key.exists():
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mattie", "-f", str(key)]
        subprocess.run(words, check=True, capture_output=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    (workspace / "allowed_signers").write_text(f'mattie namespaces="cardrunner,cardrunner-seal" {public}\n')
    (workspace / "revoked_keys").write_text("# none yet\n")
    (workspace / "cardrunner.yaml").write_text("sign_off: {policy: ssh}\n")
    if state.script:
        (workspace / "train.py").write_text(SCRIPT)
    whole = json.loads(toy_text(_script(state, seed) if state.script else _changes(state, seed)))
    names = ("name", "repeat", "sign_off", "checklist", "infra", "created", *(("code",) if state.script else ()))
    own = {name: whole.pop(name) for name in names}
    base = workspace / "runcards" / "base.yaml"
    base.write_text(json.dumps({**whole, "name": "base", "created": own["created"]}, indent=2))
    card = {"card": whole["card"], "extends": "base.yaml", **own}
    (workspace / LAUNCH[1]).write_text(json.dumps(card, indent=2))


def _changes(state: State, seed: int) -> dict[str, Any]:
    return {
        "name": RUN,
        "repeat": False,
        "training.seed": seed,
        "training.checkpoint_every": "3 steps",
        "training.keep_best": ["val_accuracy"],
        "kill_thresholds": [{**_RULE, "action": "warn"}],
        "checklist": [{"item": "the machine can count", "check": ["true"]}],
        "sign_off": {"policy": "ssh", "reviewers": [{"id": "mattie", "name": "Mattie", "signed": None}]},
        "infra.executor": state.executor,
        "after_training.download": {"checkpoint": "best", "to": f"out/{RUN}.pt"},
        **state.changes,
    }


def _script(state: State, seed: int) -> dict[str, Any]:
    own = {**_changes(state, seed), **SCRIPT_CARD}
    kept = ("name", "repeat", "checklist", "sign_off", *SCRIPT_CARD, *state.changes)
    training = {**SCRIPT_CARD["training"], "seed": seed}
    return {name: own.get(name) for name in (*kept, "data", "model", "baselines")} | {"training": training}


def documented_files() -> tuple[str, ...]:
    """The files that ``docs/run-folder.md`` lists, as patterns."""
    page = (ROOT / "docs" / "run-folder.md").read_text()
    found = [re.match(r"\| `([^`]+)` \|", line) for line in page.splitlines()]
    return tuple(match[1] for match in found if match)
