"""A workspace with one script and its card, and the command line there, forked from a process that has it imported."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cardrunner.runs.folder import RunFolder
from tests.conftest import Forked, Zygote

CARD = r"""
card: 1
name: NAME
created: 2026-01-01
goal: a script meets with an accident
workload: command
code: {folder: ., files: ["*.py", "*.csv"]}
training:
  command: [python, train.py, --out, "{out}"]
  resume: [--resume, "{checkpoint}"]
  checkpoints: {at: "{out}/ckpt.json"}
  length: {steps: 10}
  metrics:
    - {name: loss, direction: min, at: validation}
  report: {stdout: 'iter (?P<step>\d+): loss (?P<loss>\S+)'}
  first_metric: 60s
  stop: {grace: 3s}
infra: {platform: local, timeout: 10 min}
timing: {total: 10s}
targets: [{metric: loss, below: 1.0}]
kill_thresholds:
  - {metric: loss, above: 1000, action: stop}
sign_off: {policy: digest, reviewers: [{id: rev, signed: null}]}
"""
HEAD = """
import argparse, json, os, pathlib, signal, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--out", type=pathlib.Path)
parser.add_argument("--resume", type=pathlib.Path)
parser.add_argument("--batch", type=int)
options = parser.parse_args()
first = 1 + (json.loads(options.resume.read_text())["step"] if options.resume else 0)
def row(step): print(f"iter {step}: loss {1 / step:.6f}", flush=True)
def save(step): (options.out / "ckpt.json").write_text(json.dumps({"step": step}))
"""
LOOP = """
for step in range(first, 11):
    time.sleep(0.1)
    row(step)
    if step % 2 == 0: save(step)
"""


@dataclass
class Bench:
    """One script under one card.

    Args:
        root: the workspace; an empty folder.
        zygote: starts the commands.
        name: of the run.
    """

    root: Path
    zygote: Zygote
    name: str = "run"
    environment: dict[str, str] = field(default_factory=dict)

    def script(self, body: str = LOOP, **files: str) -> None:
        """Write the script; `files` are others beside it."""
        (self.root / "train.py").write_text(HEAD + body)
        for name, text in files.items():
            (self.root / name.replace("_", ".")).write_text(text)

    def card(self, *changes: tuple[str, str]) -> str:
        """Write the card with texts in it replaced; its path."""
        text = CARD.replace("NAME", self.name)
        for before, after in changes:
            assert before in text, before
            text = text.replace(before, after)
        path = self.root / "runcards" / f"{self.name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path.relative_to(self.root))

    def signed(self, *changes: tuple[str, str]) -> str:
        """The card with the digest of the code, signed."""
        card = self.card(*changes)
        self.run("code", card, "--write")
        self.run("sign", card, "--as", "rev", "--yes")
        return card

    def start(self, *words: str) -> Forked:
        """Type a command."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "PYTHONPATH": None, **self.environment}
        return self.zygote.command(*words, cwd=self.root, env=own)

    def run(self, *words: str, code: int | None = 0) -> str:
        """Type a command and wait for it; what it printed."""
        found, out, err = self.start(*words).finish()
        assert code is None or found == code, f"{words}: {found}\n{out}{err}"
        return out + err

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.root / "runs" / self.name)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of a name."""
        if not self.folder.ledger.exists():
            return []
        lines = [json.loads(line) for line in self.folder.ledger.read_text().splitlines()]
        return [line for line in lines if line["event"] == name]

    def warnings(self) -> str:
        """All warnings of the ledger."""
        return "\n".join(event["message"] for event in self.events("warning"))

    def steps(self) -> list[int]:
        """The steps of the history."""
        if not self.folder.history.exists():
            return []
        return [json.loads(line)["step"] for line in self.folder.history.read_text().splitlines()]

    def processes(self) -> list[int]:
        """The processes of the script."""
        wanted = f"CARDRUNNER_OUT={self.folder.script_out}".encode()
        return [pid for pid in map(int, _numbers()) if wanted in _environment(pid)]


def wait(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.05)


def _numbers() -> Sequence[str]:
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
