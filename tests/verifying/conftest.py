"""Run folders of version 0.1.0, which were made by real processes and signals, and ways to damage them."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cardrunner import registry
from cardrunner.runs.folder import RunFolder
from cardrunner.verifying import CHECKS, Answer, Evidence
from cardrunner.workspace import Workspace

KEPT = Path(__file__).parent.parent / "fixtures" / "runs-0.1.0" / "workspace.tar.xz"
Kept = Callable[[str], RunFolder]


@pytest.fixture(scope="session")
def kept_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole workspace; nothing may change it."""
    folder = tmp_path_factory.mktemp("kept")
    with tarfile.open(KEPT) as archive:
        archive.extractall(folder, filter="data")
    return folder / "workspace"


@pytest.fixture
def kept(kept_workspace: Path, tmp_path: Path) -> Kept:
    """Copies one run, with its workspace."""

    def copy(name: str) -> RunFolder:
        place = tmp_path / "workspace"
        left_out = {path.name for path in (kept_workspace / "runs").iterdir()} - {name}
        ignore = lambda folder, _: left_out if Path(folder).name == "runs" else set()  # noqa: E731
        shutil.copytree(kept_workspace, place, ignore=ignore)
        return RunFolder(place / "runs" / name)

    return copy


def looked_at(folder: RunFolder, *, alone: bool = False) -> tuple[Answer, ...]:
    """Every answer about a run."""
    workspace = None if alone else Workspace(folder.root.parent.parent)
    run = Evidence(folder, registry.workload_spec, partial(registry.stage_names, "worker"), workspace=workspace)
    return tuple(check.answer(run) for check in CHECKS)


def differing(folder: RunFolder) -> dict[str, list[str]]:
    """The checks that find a difference, with what they say."""
    return {
        answer.check.name: [str(damage) for damage in answer.differences]
        for answer in looked_at(folder)
        if answer.differences
    }


Rows = list[dict[str, Any]]


def edit_lines(path: Path, change: Callable[[Rows], object]) -> None:
    """Change the lines of a ledger or history."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    """Change a record."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
