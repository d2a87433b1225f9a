"""Extensions as packages of their own, installed for a `cardrunner` that runs in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Zygote

Installed = Callable[..., dict[str, str]]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """Installs the packages of folders with a ``pyproject.toml``; answers with the environment that has them."""

    def install(*folders: Path) -> dict[str, str]:
        site = tmp_path / "site"
        for folder in folders:
            project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
            info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
            info.mkdir(parents=True)
            about = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
            (info / "METADATA").write_text(about)
            groups = project["entry-points"].items()
            lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in points.items()) for group, points in groups]
            (info / "entry_points.txt").write_text("\n".join(lines))
            for module in folder.glob("*.py"):
                if not module.name.startswith(("test_", "conftest")):
                    shutil.copy(module, site)
        return {**os.environ, "PYTHONPATH": str(site)}

    return install


@pytest.fixture
def cold_cardrunner(tmp_path: Path) -> Command:
    """Types a command in the workspace `tmp_path`: ``cold_cardrunner("validate", "card.yaml", env=env)``.

    Its interpreter is its own, and so are those of its workers. Each kind of plug-in has a test with it.
    """

    def run(*words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cardrunner", *words]
        return subprocess.run(command, cwd=tmp_path, env=dict(env), text=True, capture_output=True, check=False)

    return run


@pytest.fixture
def cardrunner(tmp_path: Path, zygote: Zygote) -> Command:
    """The same in a process that the zygote forks, which takes a tenth of the time."""

    def run(*words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        started = zygote.code("from cardrunner.main import entry; entry()", *words, cwd=tmp_path, environment=env)
        return subprocess.CompletedProcess(words, *started.finish())

    return run
