"""The steps that a change passes: ``nox -s lint types`` runs two of them, ``nox -l`` lists all.

They use the active environment, which is that of the README's test line; ``.ci/run`` makes a fresh one for them.
"""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"  # the active environment: one for each step would hold torch each
nox.options.sessions = ["lint", "types", "tests"]
nox.options.stop_on_first_error = True

PYTEST = ("python", "-m", "pytest", "-q")
PARALLEL = ("-n", "auto", "--dist", "worksteal")
DIST = "CARDRUNNER_DIST"
"""The variable that names the folder of wheel and sdist; where it is set, they are built once for all runs of nox."""

SET_UPS = (
    "transformers>=5,<6", "accelerate>=1.1", "lightning>=2.6", "jsonargparse[signatures]>=4.38", "tensorboard>=2.19",
    "xgboost-cpu>=3,<4", "scikit-learn>=1.5",
)  # fmt: skip
"""What the scripts of examples/ need beside torch."""


@nox.session
def lint(session: nox.Session) -> None:
    """Style and layout of the sources."""
    session.run("python", "-m", "ruff", "check", ".")
    session.run("python", "-m", "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    session.run("python", "-m", "mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The README's test command: all tests but those of the steps below."""
    found = re.search(r"&& (pytest .*)$", Path("README.md").read_text(), re.MULTILINE)
    if found is None:
        session.error("README.md has no line that installs and then runs pytest")
    session.run(*shlex.split(found[1]), *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """The viewer's page in Chromium."""
    session.run(*PYTEST, "-m", "browser", *PARALLEL, "tests/workloads/melee/viewer", *session.posargs)


@nox.session
def mutations(session: nox.Session) -> None:
    """A thousand mutated cards and hundreds of forged approvals."""
    session.run(*PYTEST, "-m", "mutations and not long", *PARALLEL, "tests/card", "tests/gate", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Wheel and sdist: what is in them, and every subcommand from the wheel alone."""
    session.run(*PYTEST, "-m", "wheel", "tests/packaging", *session.posargs, env=built(session))


@nox.session
def extras(session: nox.Session) -> None:
    """Each extra on its own."""
    quick = ("-m", "extras and not long")
    session.run(*PYTEST, *quick, *PARALLEL, "tests/packaging", *session.posargs, env=built(session))


@nox.session
def long(session: nox.Session) -> None:
    """The long form of tests that have a quick one, and all examples of each property."""
    everything = {**built(session), "CARDRUNNER_EXAMPLES": "all"}
    session.run(*PYTEST, "-m", "long or hypothesis", *PARALLEL, *session.posargs, env=everything)


@nox.session
def set_ups(session: nox.Session) -> None:
    """The five usual set-ups of examples/ under signed cards, each stopped and resumed."""
    session.run("python", "-m", "pip", "install", "--quiet", *SET_UPS)
    found = {"CARDRUNNER_SET_UPS": "installed"}  # a skip fails the run then
    session.run(*PYTEST, "-m", "set_ups", "tests/workloads/command", *session.posargs, env=found)


@nox.session
def mutants(session: nox.Session) -> None:
    """Sixty changed lines, one at a time: the tests of their part must notice 95 % of them. Takes hours."""
    session.run("python", "-m", "pip", "install", "--quiet", "cosmic-ray>=8.7,<9")
    listed = ("--mutants", "benchmarks/mutants.json", "--results", "mutants-results.json")
    session.run("python", "-m", "benchmarks.mutants", "run", *listed, *session.posargs)


def built(session: nox.Session) -> dict[str, str]:
    """Wheel and sdist of what git tracks, as it stands in the work tree, made once; the variable that says where."""
    if DIST not in os.environ:
        os.environ[DIST] = tempfile.mkdtemp(prefix="cardrunner-dist-")
        atexit.register(shutil.rmtree, os.environ[DIST])
    folder = Path(os.environ[DIST])
    if not any(folder.glob("*.whl")):
        tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
        for name in filter(os.path.isfile, tracked.split("\0")):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, folder / "source" / name)
        session.run("python", "-m", "build", "--outdir", str(folder), str(folder / "source"), silent=True)
    return {DIST: str(folder)}
