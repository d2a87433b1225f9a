"""Wheel and sdist, built by ``noxfile.py``, and environments that have the wheel and nothing of this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement


@dataclass(frozen=True)
class Environment:
    """A virtual environment with packages installed from the registry, and the wheel."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Where its packages are installed."""
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def run(self, *command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run one of its programs in `cwd`, with no variable that leads back into the checkout."""
        words = [str(self.folder / "bin" / str(command[0])), *map(str, command[1:])]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        variables = {**kept, "COLUMNS": "200", "NO_COLOR": "1"}
        return subprocess.run(
            words, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session")
def dist() -> Path:
    """The folder with one wheel and one sdist."""
    folder = os.environ.get("CARDRUNNER_DIST")
    if not folder:
        pytest.fail("CARDRUNNER_DIST names no folder with wheel and sdist; run: nox -s wheel extras")
    return Path(folder)


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The wheel."""
    (found,) = dist.glob("*.whl")
    return found


def required(*names: str) -> Iterator[Distribution]:
    """These distributions as they are installed here, and all that they require."""
    seen, left = set[str](), list(names)
    while left:
        found = distribution(left.pop())
        if found.name not in seen:
            seen.add(found.name)
            yield found
            needs = map(Requirement, found.requires or ())
            left += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]


def lend(found: Distribution, packages: Path) -> None:
    """Put links to a distribution of this environment into another one."""
    for entry in {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}:
        if not (packages / entry).exists():  # several distributions may share a namespace
            (packages / entry).symlink_to(Path(str(found.locate_file(entry))))


MakeEnvironment = Callable[..., Environment]


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> MakeEnvironment:
    """An environment with the wheel alone: ``make_environment()``, or with an extra: ``make_environment("wandb")``.

    `lent` distributions, and all that they require, are linked from this environment: installing them takes long.
    """

    def make(extra: str | None = None, *, lent: Iterable[str] = ()) -> Environment:
        made = Environment(tmp_path_factory.mktemp("environment"))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.folder], check=True)
        for found in required(*lent):
            lend(found, made.packages)
        pip = [sys.executable, "-m", "pip", "--python", str(made.python), "install", "--quiet", "--no-compile"]
        installed = subprocess.run(
            [*pip, f"{wheel}[{extra}]" if extra else str(wheel)], capture_output=True, text=True, check=False
        )
        assert installed.returncode == 0, installed.stderr
        return made

    return make
