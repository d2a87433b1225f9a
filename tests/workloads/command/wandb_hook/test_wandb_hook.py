"""Calls of wandb.log, copied by the hook from the real wandb."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import cardrunner
from cardrunner.workloads.command.reports.script_lines import ScriptLines
from tests.workloads.command.reports.helpers import all_of, triples

HOOK = Path(cardrunner.__file__).parent / "workloads" / "command" / "wandb_hook"


def script(source: str, folder: Path, *paths: Path, **environment: str) -> str:
    """Run a script with the hook, and other folders behind it, on its path; returns what it prints."""
    path = os.pathsep.join(map(str, (HOOK, *paths)))
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "CARDRUNNER_METRICS")}
    variables = {**kept, "PYTHONPATH": path, "WANDB_MODE": "offline", "WANDB_SILENT": "true", **environment}
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=folder, env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_what_a_script_gives_to_wandb_is_read_by_the_step_that_it_names(tmp_path: Path) -> None:
    script(
        "import numpy as np, wandb\n"
        "run = wandb.init(project='test')\n"
        "for n in (0, 30, 60):\n"
        "    run.log({'lr': np.float32(0.5)}, commit=False)\n"
        "    wandb.log({'iter': n, 'val/loss': np.array(n / 4), 'nested': {'acc': '0.5'}, 'many': np.ones(3)})\n"
        "run.finish()\n",
        tmp_path,
        CARDRUNNER_METRICS=str(tmp_path / "metrics"),
    )
    source = ScriptLines(tmp_path / "metrics", wanted=frozenset({"val/loss"}), wandb_step="iter")
    assert triples(all_of(source)) == [
        each for n in (0, 30, 60) for each in ((n, "lr", 0.5), (n, "val/loss", n / 4), (n, "nested.acc", 0.5))
    ]
    assert source.garbage.count == 0


def test_the_environments_own_sitecustomize_runs_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("MARK = 'own'\n")
    source = "import sitecustomize; print(sitecustomize.MARK)"
    assert script(source, tmp_path, tmp_path, CARDRUNNER_METRICS=str(tmp_path / "metrics")) == "own\n"
    assert script(source, tmp_path, tmp_path) == "own\n"


def test_only_the_one_method_is_wrapped_and_a_failing_copy_changes_nothing(tmp_path: Path) -> None:
    package = tmp_path / "wandb" / "sdk"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "wandb_run.py").write_text(
        "class Run:\n    step = 4\n    def log(self, data, step=None, *rest): return (data, step)\n"
        "    def other(self): return 1\n"
    )
    source = (
        "from wandb.sdk.wandb_run import Run\nrun = Run()\n"
        "print(run.log({'loss': 1}), run.log({'loss': 2}, 9), run.log(None), Run.other.__code__.co_filename)"
    )
    printed = script(source, tmp_path, tmp_path, CARDRUNNER_METRICS=str(tmp_path / "metrics"))
    assert printed.startswith("({'loss': 1}, None) ({'loss': 2}, 9) (None, None)")
    assert triples(all_of(ScriptLines(tmp_path / "metrics"))) == [(4, "loss", 1.0), (9, "loss", 2.0)]
    assert script(source, tmp_path, tmp_path, CARDRUNNER_METRICS=str(tmp_path / "no" / "folder")) == printed
