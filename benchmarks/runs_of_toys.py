"""Many short runs of the toy workload, in processes that are forked with everything imported already."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conftest import Zygote, toy_text

ROOT = Path(__file__).parents[1]


@contextmanager
def forking() -> Iterator[Zygote]:
    """Starts each command as a process of its own, in milliseconds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests" / "zygote.py")]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with TemporaryDirectory() as folder, subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        if process.stdout is None or process.stdin is None or process.stdout.readline() != "ready\n":
            raise SystemExit("the forking process did not start")
        yield Zygote(process, Path(folder))
        process.stdin.close()


def write_card(workspace: Path, name: str, changes: Mapping[str, Any]) -> Path:
    """A signed toy card in a workspace."""
    path = workspace / "runcards" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(toy_text({"name": name, "infra.executor": "local", **changes}))
    return path
