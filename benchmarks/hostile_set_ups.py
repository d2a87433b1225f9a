"""Scripts in the shape of usual ones and with habits that destroy work, for ``benchmarks.hostile_stops``.

`RIGHT` says beforehand what is right for each after a stop.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

SCRIPT: Final = Path(__file__).parents[1] / "tests" / "workloads" / "command" / "scripts" / "shapes.py"
ITERS: Final = 40
Manner = Literal["verdict", "person", "interrupt", "script", "worker", "everything"]
MANNERS: Final[dict[Manner, str]] = {
    "verdict": "a kill threshold on a row",
    "person": "`cardrunner stop`",
    "interrupt": "Ctrl-C at the launch",
    "script": "SIGTERM to the script alone, which nothing waited for",
    "worker": "SIGKILL to the worker",
    "everything": "SIGKILL to the worker, its supervisor, the launch and the script, as when the machine is lost",
}
Right = Literal["resumed", "lost", "fallback", "anew", "paused"]
EARLY: Final = "where SIGTERM reached the script alone and it ended with 0: completed, with a warning how far it came"
RIGHT: Final[dict[Right, str]] = {
    "resumed": "resumed from the newest usable checkpoint; begun anew where none was saved",
    "fallback": "resumed from the newest checkpoint from which it does not die, after at most two that it dies of",
    "lost": "lost, as the plan said: begun anew",
    "anew": "begun anew, and it is said that there is no checkpoint: none lies where the card says",
    "paused": "paused to investigate, as the declared metric does not come, with the names that were seen; "
    "said in the results where the script was done before",
}
_CARD: Final = r"""
card: 1
name: NAME
created: 2026-01-01
goal: a script is stopped at a random moment
workload: command
code: {folder: ., files: ["*.py"]}
training:
  command: [python, train.py, SHAPE, --out, "{out}", --iters, "{iters}", --pause, "{pause}"]
  parameters: {iters: 40, pause: 0.12}
  RESUME
  CHECKPOINTS
  length: {steps: "{iters}"}
  metrics:
    - {name: val_loss, direction: min, at: validation}
    - {name: loss, direction: min, at: log}
  report: REPORT
  first_metric: FIRST
  silence: 60s
  stop: {grace: 3s}
infra: {platform: local, timeout: 10 min}
timing: {total: 10s}
targets: [{metric: val_loss, below: 1.0}]
kill_thresholds:
  - {metric: val_loss, above: THRESHOLD, action: stop}
sign_off: {policy: digest, reviewers: [{id: reviewer, signed: null}]}
"""
_LINES: Final = (
    r"""{stdout: ['step (?P<step>\d+): val_loss (?P<val_loss>\S+)', 'iter (?P<step>\d+): loss (?P<loss>\S+)']}"""
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a shape of ``shapes.py`` stands in its card, and what is right for it."""

    right: Right = "resumed"
    resume: str | None = '[--resume, "{checkpoint}"]'
    at: str = "ckpt.json"
    complete: tuple[str, ...] = ()
    report: str = _LINES
    first: str = "60s"
    row: str = r"^step \d+: val_loss"
    manners: tuple[Manner, ...] = tuple(MANNERS)
    exits_zero: bool = False
    """It ends with 0 when it is sent SIGTERM, as one that is done does."""

    def make(self, name: str, root: Path, *, verdict_at: int | None) -> str:
        """A workspace with the script and its card, whose path is returned.

        Args:
            name: of the shape.
            root: the workspace; an empty folder.
            verdict_at: the step from which on each validation is over the card's threshold; None for none.
        """
        shutil.copy(SCRIPT, root / "train.py")
        complete = f", complete: [{', '.join(self.complete)}]" if self.complete else ""
        at = f'checkpoints: {{at: "{{out}}/{self.at}"{complete}}}'
        values = {
            "NAME": name.lower(),
            "SHAPE": name,
            "RESUME": "" if self.resume is None else f"resume: {self.resume}",
            "CHECKPOINTS": at,
            "REPORT": self.report,
            "FIRST": self.first,
            "THRESHOLD": "1000" if verdict_at is None else f"-1, after: {verdict_at} steps",
        }
        text = _CARD
        for key, value in values.items():
            text = text.replace(key, value)
        card = root / "runcards" / f"{name.lower()}.yaml"
        card.parent.mkdir()
        card.write_text(text)
        return str(card.relative_to(root))


_NO_VERDICT: Final = tuple(manner for manner in MANNERS if manner != "verdict")
_FOLDERS: Final = Shape(at="checkpoint-*", complete=("trainer_state.json",))
SHAPES: Final = {
    "SingleFile": Shape(),
    "Folders": _FOLDERS,
    "Versions": Shape(
        at="version_*/checkpoints/*.json",
        report='{csv: "{out}/version_*/metrics.csv"}',
        exits_zero=True,
    ),
    "AtEnd": Shape(right="lost", resume=None, at="model.json"),
    "Launcher": Shape(resume="itself", row=r"step \d+: val_loss"),
    "SlowSave": Shape(),
    "Stray": Shape(),
    "Deaf": Shape(),
    "ExitsZero": Shape(exits_zero=True),
    "Loud": Shape(),
    "NeverReports": Shape(right="paused", first="3s", row="^working on", manners=_NO_VERDICT),
    "WrongName": Shape(
        right="paused",
        manners=_NO_VERDICT,
        first="3s",
        report=_LINES.replace("'iter", r"'iter (?P<step>\d+): train_loss (?P<train_loss>\S+)', 'iter"),
    ),
    "Picky": replace(_FOLDERS, right="fallback"),
    "Outside": Shape(right="anew"),
}


def saved_step(path: Path) -> int:
    """The step of a checkpoint, loaded as its script loads it."""
    if path.is_dir():
        return int(json.loads((path / "trainer_state.json").read_text())["global_step"])
    return int(json.loads(path.read_text())["step"])
