"""Scripts that are run as a card would have them run."""

from __future__ import annotations

import json
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cardrunner.workloads.command.checkpoints import CheckpointRules
from cardrunner.workloads.command.keeping import Keeper
from cardrunner.workloads.command.output import ScriptOutput
from cardrunner.workloads.command.process import Command, Patience, Script, ScriptEnd

SCRIPTS = Path(__file__).parent / "scripts"
BRISK = Patience(grace=5, helpers=0.2, poll=0.01)


@dataclass
class Attempt:
    """A script with its log and its kept checkpoints, looked at every few milliseconds."""

    script: Script
    output: ScriptOutput
    keeper: Keeper
    lines: list[str]
    pump: threading.Thread
    problems: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, folder: Path, rules: CheckpointRules, name: str, *arguments: object) -> Attempt:
        lines: list[str] = []
        argv = (sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments))
        keeper = Keeper(rules, folder / "kept", spare_bytes=0)
        script = Script.start(Command(argv, folder))
        output = ScriptOutput(folder / "script.log", lines.append)
        pump = threading.Thread(target=output.pump, args=(script.output,))
        pump.start()
        return cls(script, output, keeper, lines, pump)

    def watch(self, until: Callable[[], bool], *, seconds: float = 60) -> None:
        """Look at its checkpoints until something is so, or it ends."""
        deadline = time.monotonic() + seconds
        while not until() and self.script.poll() is None and time.monotonic() < deadline:
            self.problems += self.keeper.look().problems
            time.sleep(0.004)

    def end(self, patience: Patience = BRISK) -> ScriptEnd:
        end = self.script.end(patience=patience)
        self.pump.join(10)
        for _ in range(2):
            self.problems += self.keeper.look().problems
        return end


def saved_step(path: Path) -> int:
    """The step of a checkpoint, read as its script reads it."""
    if path.is_dir():
        return int(json.loads((path / "trainer_state.json").read_text())["global_step"])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return int(json.loads(archive.read("state.json"))["step"])
