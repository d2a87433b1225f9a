"""What watching a script costs: CPU seconds of everything of ours beside those of the script.

    python -m benchmarks.command_overhead --minutes 4

A script computes all the time, prints a row about twice a second and a validation every ten seconds, and saves 1 MB
then. While it trains, the launch that shows it, its supervisor and its worker may together take 1 % of the script's CPU
seconds, copies of checkpoints apart. What the start and the results card cost is the same for a run of a week, and is
shown beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

MOST_SHARE: Final = 0.01
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_SCRIPT: Final = """
import pathlib, sys, time
out, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
began, step, due, saved = time.monotonic(), 0, 0.0, 0.0
while (now := time.monotonic() - began) < seconds:
    sum(number * number for number in range(20_000))
    if now >= due:
        step, due = step + 1, due + 0.5
        print(f"iter {step}: loss {1 / step:.6f}, time 500.00ms", flush=True)
        if step % 20 == 0:
            print(f"step {step}: val_loss {1 / step:.6f}", flush=True)
            (out / "ckpt.bin").write_bytes(bytes(1_000_000))
print("cpu", time.process_time(), flush=True)
"""
_CARD: Final = r"""
card: 1
name: overhead
created: 2026-01-01
goal: watching it costs nearly nothing
workload: command
code: {folder: ., files: ["*.py"]}
training:
  command: [python, train.py, "{out}", "{seconds}"]
  parameters: {seconds: SECONDS}
  resume: [--resume, "{checkpoint}"]
  checkpoints: {at: "{out}/ckpt.bin"}
  metrics:
    - {name: val_loss, direction: min}
    - {name: loss, direction: min, at: log}
  report:
    stdout:
      - 'step (?P<step>\d+): val_loss (?P<val_loss>\S+)'
      - 'iter (?P<step>\d+): loss (?P<loss>[^\s,]+), time'
    csv: "{out}/logs/*.csv"
    tensorboard: "{out}/events/**"
infra: {platform: local}
timing: {total: 1h}
targets: [{metric: val_loss, below: 1.0}]
kill_thresholds:
  - {metric: val_loss, above: 1000, action: stop}
sign_off: {policy: digest, reviewers: [{id: rev, signed: null}]}
"""


def _cpu(pid: int) -> float | None:
    """CPU seconds of a process; None once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[11]) + int(fields[12])) / _TICKS


def _command(root: Path, *words: str) -> subprocess.Popen[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-m", "cardrunner", *words],
        cwd=root,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _pid(file: Path) -> int | None:
    try:
        return int(json.loads(file.read_bytes())["pid"])
    except (OSError, ValueError, KeyError):
        return None


class Meter:
    """CPU seconds of the processes of ours, at the start of the training and at its end."""

    def __init__(self, launched: subprocess.Popen[str], run: Path) -> None:
        self._pids = {"launch": launched.pid}
        self._run = run
        self.now: dict[str, float] = {}
        self.at_start: Mapping[str, float] = {}
        self.at_end: Mapping[str, float] = {}

    def look(self) -> None:
        """Read what each has used so far."""
        for name, file in (("worker", "lease.json"), ("supervisor", "supervisor.json")):
            if name not in self._pids and (pid := _pid(self._run / file)) is not None:
                self._pids[name] = pid
        self.now |= {name: used for name, pid in self._pids.items() if (used := _cpu(pid)) is not None}
        events = self._events()
        if not self.at_start and b'"event": "training"' in events:
            self.at_start = dict(self.now)
        if not self.at_end and b'"event": "stage_ended"' in events and b'"stage": "checkpoint"' in events:
            self.at_end = dict(self.now)

    def _events(self) -> bytes:
        try:
            return (self._run / "ledger.jsonl").read_bytes()
        except OSError:
            return b""

    def training(self) -> dict[str, float]:
        """What each has used while the script trained."""
        return {name: (self.at_end or self.now)[name] - self.at_start.get(name, 0.0) for name in self.now}


def measured(seconds: float) -> dict[str, Any]:
    """Run the script for some seconds; CPU seconds of it and of ours."""
    with TemporaryDirectory(prefix="overhead-") as folder:
        root = Path(folder)
        (root / "runcards").mkdir()
        (root / "train.py").write_text(_SCRIPT)
        card = root / "runcards" / "overhead.yaml"
        card.write_text(_CARD.replace("SECONDS", f"{seconds:g}"))
        for words in (("code", str(card), "--write"), ("sign", str(card), "--as", "rev", "--yes")):
            done = _command(root, *words)
            said = done.communicate()[0]
            if done.returncode:
                raise SystemExit(said)
        launched = _command(root, "launch", str(card))
        meter = Meter(launched, root / "runs" / "overhead")
        while launched.poll() is None:
            meter.look()
            time.sleep(0.2)
        if launched.returncode:
            raise SystemExit(launched.communicate()[0])
        log = (root / "runs" / "overhead" / "script.log").read_text().splitlines()
        return {"script": float(log[-1].split()[1]), "training": meter.training(), "all": meter.now}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 where watching takes more than its share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0)
    options = parser.parse_args(arguments)
    found = measured(60 * options.minutes)
    ours = sum(found["training"].values())
    share = ours / found["script"]
    each = ", ".join(f"{name} {used:.2f}" for name, used in found["training"].items())
    rest = sum(found["all"].values()) - ours
    print(f"script {found['script']:.1f} s of CPU; ours while it trained {ours:.2f} s ({each}): {share:.2%}")
    print(f"start and end, once a run: {rest:.1f} s")
    return int(share > MOST_SHARE)


if __name__ == "__main__":
    raise SystemExit(main())
