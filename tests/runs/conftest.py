"""Run folders as launches make them, without a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cardrunner.runs.create import create_run
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.history import Clock, HistoryRow
from cardrunner.runs.records import LaunchRecord

MakeRun = Callable[..., RunFolder]


def launch_record(name: str, **changes: object) -> LaunchRecord:
    known: dict[str, object] = {
        "run": name,
        "workload": "made-up",
        "workspace": "/nowhere",
        "executor": "local",
        "card_file": "runcards/made-up.yaml",
        "card_digest": "d" * 64,
        "signed_by": ("ada",),
        "created": "2026-03-01T12:00:00.000Z",
    }
    return LaunchRecord.model_validate(known | changes)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes the folder of a run: ``make_run("name", infra={...})``."""

    def make(name: str = "a-run", *, infra: dict[str, object] | None = None) -> RunFolder:
        folder = RunFolder.of(tmp_path / "runs", name)
        effective = {"infra": infra or {"platform": "local", "price": None, "gpus": 1}}
        create_run(folder, launch=launch_record(name), card=b"card: 1\n", effective=effective, approvals=[], plan={})
        return folder

    return make


@pytest.fixture
def row() -> Callable[..., HistoryRow]:
    """Makes a history row."""

    def make(step: int, *, kind: str = "train", epoch: int = 1, **metrics: float) -> HistoryRow:
        return HistoryRow.model_validate(
            {
                "kind": kind,
                "epoch": epoch,
                "step": step,
                "examples": 10 * step,
                "learning_rate": 0.001,
                "metrics": metrics or {"loss": 1.0 / (step + 1)},
                "clock": Clock(at="2026-03-01T12:00:01.000Z", seconds=1.0),
            }
        )

    return make
