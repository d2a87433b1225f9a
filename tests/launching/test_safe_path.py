"""Whatever lies in the current folder, the processes of a run import the same code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cardrunner
from cardrunner.runs.environment import child_environment, python_command

MakeCard = Callable[..., Path]
INSTALLED = Path(sys.executable).with_name("cardrunner")
PACKAGE = Path(cardrunner.__file__).resolve().parent
MARK = "import os\nopen(os.environ['MARK'], 'a').write(__file__ + chr(10))\n"


@pytest.mark.skipif(not INSTALLED.exists(), reason="needs the installed command")
@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.long), 2])
def test_modules_in_the_current_folder_are_never_imported(make_card: MakeCard, tmp_path: Path, processes: int) -> None:
    path = make_card({"infra.executor": "local", "training.processes": processes, "training.epochs": 1})
    for name in ("random", "queue", "yaml", "json", "torch", "socket"):
        (tmp_path / f"{name}.py").write_text(MARK)
    (tmp_path / "cardrunner").mkdir()
    mark = tmp_path / "mark"

    environment = {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, "MARK": str(mark)}
    done = subprocess.run(
        [INSTALLED, "launch", path], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert not mark.exists(), mark.read_text()
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "runs" / "toy-run" / "stages" / "train.json").read_text())["weights_sha256"]


def test_a_child_gets_a_folder_that_holds_cardrunner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{tmp_path}")

    *ours, given = child_environment()["PYTHONPATH"].split(os.pathsep)

    assert given == str(tmp_path)
    assert all({entry.name.partition("-")[0] for entry in Path(folder).iterdir()} == {"cardrunner"} for folder in ours)


def test_a_child_runs_this_very_code_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "cardrunner").mkdir()
    (tmp_path / "cardrunner" / "__init__.py").write_text("raise SystemExit('another cardrunner')")
    code = "import cardrunner, pathlib; print(pathlib.Path(cardrunner.__file__).resolve().parent)"

    command = [*python_command("x")[:2], "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(PACKAGE)


def test_one_place_writes_the_command_line_of_our_processes() -> None:
    spelled = [path for path in PACKAGE.rglob("*.py") if re.search(r'"-m",|\[sys\.executable,', path.read_text())]

    assert [path.name for path in spelled] == ["environment.py"]


def test_a_plugin_of_the_current_folder_is_named_before_anything_starts(make_card: MakeCard, tmp_path: Path) -> None:
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cardrunner.workloads]\nmine = acme:Spec\n")
    path = make_card({"workload": "mine"})

    command = [sys.executable, "-m", "cardrunner", "validate", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "the workload mine of acme 1.0 only lies in the current folder, where no worker looks" in done.stdout
