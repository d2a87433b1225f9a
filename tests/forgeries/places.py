"""The workspaces in which the cases take place, made once and put back for each.

::

    keys/       a key pair each: scav and mattie review, ada writes the cards, lee is listed too, mallory is a stranger
    team/       the workspace under attack, in which every command is given
    mallory/    a workspace of mallory's own: the same cards with another learning rate, and scav's name beside her key
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import Zygote
from tests.forgeries.corpus import HERE, Base, Command

PEOPLE = ("scav", "mattie", "ada", "lee", "mallory")
LOCAL = ("small", "quick", "often", "pair", "child", "again")
SIGNERS = {"pair": ("scav", "mattie")}
PROGRAMS = {
    "cardrunner": "from cardrunner.main import entry; entry()",
    "forge": "from tests.forgeries.forge import main; main()",
    "worker": "from cardrunner.launching.worker import _entry; import sys; sys.exit(_entry(sys.argv[1:]))",
}
"""What a command line may begin with; ``worker`` is ``python -m cardrunner.launching.worker``."""
Ended = tuple[int, str]


@dataclass
class Place:
    """One folder in which cases take place, one after the other, always at the same path.

    Args:
        zygote: starts commands.
        root: the folder; beside it what it looks like in the beginning is kept.
    """

    zygote: Zygote
    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def team(self) -> Path:
        """The workspace under attack."""
        return self.root / "team"

    def put(self, base: Base) -> None:
        """Make everything as it is at the beginning of a case."""
        self.variables = {"FILES": str(HERE / "files")}
        kept = self.root.with_name(f"{self.root.name}-{base}")
        if not kept.exists():
            BASES[base](self)
            shutil.copytree(self.root, kept, symlinks=True)
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(kept, self.root, symlinks=True)

    def begin(self, line: str, *, folder: Path | None = None) -> Any:
        """Start a command of cardrunner's, or ``forge``."""
        command = Command.parse(self.filled(line))
        code = PROGRAMS[command.program]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "MPLBACKEND": "agg"}
        environment |= self.variables | command.variables
        cwd = (folder or self.team) / command.folder
        return self.zygote.code(code, *command.words, cwd=cwd, environment=environment)

    def type(self, line: str, *, folder: Path | None = None) -> Ended:
        """Type a command and wait: the exit code, and what it printed and complained."""
        code, out, err = self.begin(line, folder=folder).finish()
        return code, f"{out}{err}"

    def do_all(self, lines: Iterable[str]) -> None:
        """Steps of a case."""
        for line in lines:
            self.do(self.filled(line))

    def do(self, line: str, *, folder: Path | None = None) -> None:
        """One step: a command of cardrunner's or ``forge``, or else a line of shell.

        In front: ``!``, it must fail; ``?``, it may.
        """
        fails, may, line = line.startswith("! "), line.startswith("? "), line.removeprefix("! ").removeprefix("? ")
        if re.match(r"(cd \S+ && )?([A-Z_]+=\S* )*(cardrunner|forge|worker) ", line):
            code, said = self.type(line, folder=folder)
        else:
            shell = ["sh", "-euc", line]
            done = subprocess.run(
                shell, cwd=folder or self.team, env=os.environ | self.variables, capture_output=True, text=True
            )
            code, said = done.returncode, f"{done.stdout}{done.stderr}"
        assert may or bool(code) is fails, f"{line}\nended with {code}: {said}"

    def filled(self, text: str) -> str:
        """The text with the values of the variables that only this case has."""
        for name, value in self.variables.items():
            text = text.replace(f"${name}", value)
        return text

    def trained(self, *, attempts: bool) -> dict[str, object]:
        """What training leaves behind, anywhere: rows of histories, the run folders, and, if asked for, attempts."""
        found: dict[str, object] = {}
        for path in sorted(self.root.rglob("*.jsonl")):
            lines = path.read_text().splitlines() if path.is_file() else []
            if path.name == "history.jsonl":
                found[str(path)] = lines
            elif path.name == "ledger.jsonl":
                found[str(path)] = [line for line in lines if attempts and '"attempt_started"' in line]
        return found

    def processes(self) -> list[int]:
        """Processes that work in there."""
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cwd") if self._is_inside(path)]

    def _is_inside(self, cwd: Path) -> bool:
        try:
            return cwd.readlink().is_relative_to(self.root)
        except OSError:
            return False


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Look until something is true.

    Raises:
        TimeoutError: it is not.
    """
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(str(condition))
        time.sleep(0.01)


def _signed(place: Place) -> None:
    """Every card signed by its reviewers; in mallory's workspace with mallory's keys."""
    shutil.rmtree(place.root, ignore_errors=True)
    keys = place.root / "keys"
    keys.mkdir(parents=True)
    for person in PEOPLE:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(keys / person)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    for name in ("team", "mallory"):
        _open_workspace(place, name)


def _open_workspace(place: Place, name: str) -> None:
    root, keys = place.root / name, place.root / "keys"
    shutil.copytree(HERE / "files", root)
    (root / "runcards" / "far.yaml").unlink()
    people = {person: person for person in PEOPLE[:4]}
    if name == "mallory":
        people = {"scav": "mallory", "mattie": "lee", "ada": "ada"}
        for card in (root / "runcards").iterdir():
            card.write_text(card.read_text().replace("learning_rate: 0.01", "learning_rate: 0.5"))
    lines = [f'{person} namespaces="cardrunner" {(keys / f"{key}.pub").read_text()}' for person, key in people.items()]
    (root / "allowed_signers").write_text("".join(lines))
    for card_name in LOCAL:
        for person in SIGNERS.get(card_name, ("scav",)):
            words = f"runcards/{card_name}.yaml --as {person} --key {keys / people[person]} --yes --quiet"
            place.do(f"cardrunner sign {words}", folder=root)


def _launched(place: Place, *names: str) -> None:
    place.put("signed")
    for name in names:
        for root in (place.team, place.root / "mallory"):
            code, said = place.type(f"cardrunner launch runcards/{name}.yaml", folder=root)
            assert code == (1 if name == "small" else 0), said


def _far(place: Place) -> None:
    place.put("signed")
    for path in (place.team / "runcards").iterdir():
        path.unlink()
    shutil.copy(HERE / "files" / "runcards" / "far.yaml", place.team / "runcards")


BASES: dict[Base, Callable[[Place], None]] = {
    "signed": _signed,
    "crashed": lambda place: _launched(place, "small"),
    "ended": lambda place: _launched(place, "quick", "often"),
    "retrying": lambda place: place.put("signed"),
    "far": _far,
}
"""How each base is made."""
