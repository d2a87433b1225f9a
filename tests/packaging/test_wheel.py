"""What is shipped is what git tracks, and it works where there is nothing else."""

from __future__ import annotations

import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from cardrunner.main import COMMANDS
from tests.packaging.conftest import Environment, MakeEnvironment

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]
CARD = "runcards/my-run.yaml"
CALLS = {
    "new": (["my-run", "--workload", "toy"], 0),
    "schema": ([], 0),
    "workloads": ([], 0),
    "validate": ([CARD], 0),
    "render": ([CARD], 0),
    "digest": ([CARD], 0),
    "plan": ([CARD], 0),
    "check": ([CARD], 0),
    "sign": ([CARD, "--as", "reviewer", "--yes"], 0),
    "launch": ([CARD], 3),
    "try": ([CARD], 2),
    "status": ([], 0),
    "encode": (["replays", "-o", "games.pt"], 7),
    "upload": (["games.pt", CARD], 2),
    "rules": (["test", CARD, "--history", "history.jsonl"], 2),
    **{
        name: (["my-run"], 2)
        for name in ("logs", "attach", "stop", "finish", "resume", "download", "demo", "report", "verify")
    },
}
"""Words and exit code of a subcommand, in the order in which they are typed; another one is asked for its help."""


def tracked() -> set[str]:
    """The files of the package that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "cardrunner"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(filter(None, listed.stdout.split("\0")))


def test_the_wheel_has_exactly_the_files_that_git_tracks(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == tracked()


def test_the_sdist_has_every_file_that_git_tracks_and_the_licence(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tracked(), "LICENSE", "README.md", "pyproject.toml"} <= packed


def test_its_metadata_names_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    assert {"License-Expression: Apache-2.0", "License-File: LICENSE"} <= set(lines)


@pytest.fixture(scope="module")
def base(make_environment: MakeEnvironment) -> Environment:
    """An environment with the wheel and no extra."""
    return make_environment()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is empty at the first command."""
    return tmp_path_factory.mktemp("workspace")


def test_nothing_but_the_base_is_installed(base: Environment, tmp_path: Path) -> None:
    found = base.run("python", "-c", "import cardrunner; print(cardrunner.__file__)", cwd=tmp_path)
    assert Path(found.stdout.strip()).is_relative_to(base.folder)
    absent = base.run("python", "-c", "import torch, numpy, modal, wandb", cwd=tmp_path)
    assert "No module named 'torch'" in absent.stderr


@pytest.mark.parametrize("name", [*CALLS, *(name for name in COMMANDS if name not in CALLS)])
def test_every_subcommand_ends_as_it_should_from_an_empty_folder(name: str, base: Environment, workspace: Path) -> None:
    words, code = CALLS.get(name, (["--help"], 0))
    done = base.run("cardrunner", name, *words, cwd=workspace)
    said = done.stdout + done.stderr
    assert (done.returncode, "Traceback" in said, "bug in cardrunner" in said) == (code, False, False), said


def test_the_cards_that_ship_are_valid_for_the_wheel_too(base: Environment, tmp_path: Path) -> None:
    signed = sorted((ROOT / "runcards").glob("*.yaml"))
    done = base.run("cardrunner", "validate", *signed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^{len(signed)} cards, 0 faults", done.stdout + done.stderr, re.MULTILINE)
