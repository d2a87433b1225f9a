"""What proves a script's word, on Modal: preflight and evaluation run there, and the demo where the data is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cardrunner.workloads.command import script
from tests.executors.modal_cloud.test_script import SCRIPT
from tests.modal_plane.cloud import Cloud

PROVEN = Path(__file__).parents[2] / "workloads" / "command" / "scripts" / "proven.py"
CHANGES: dict[str, Any] = {
    "training.command": ["python", "train.py", "train", "--iters={iters}", "--out", "{out}"],
    "training.parameters": {"iters": 10},
    "training.resume": None,
    "training.preflight": ["python", "train.py", "preflight"],
    "training.facts": {"parameters": 1},
    "training.evaluate": {
        "command": ["python", "train.py", "evaluate", "--checkpoint", "{checkpoint}"],
        "stdout": [r"val_loss (?P<val_loss>\S+)"],
    },
    "infra.retries": 0,
}


@pytest.fixture
def proven(cloud: Cloud) -> Path:
    folder = cloud.root / "trainer"
    folder.mkdir()
    lines = PROVEN.read_text()
    (folder / "train.py").write_text(lines)
    shutil.copy(Path(script.__path__[0]) / "cardrunner_script.py", folder)
    return folder


def test_preflight_facts_and_evaluation_hold_there(cloud: Cloud, proven: Path) -> None:
    demo = {"command": ["python", "train.py", "demo", "--checkpoint", "{checkpoint}", "--out", "{out}"]}
    card = cloud.card({**CHANGES, "after_training.demo": demo}, base=SCRIPT)
    code, _, err = cloud.type("code", card, "--write")
    assert code == 0, err
    code, _, err = cloud.type("launch", card)
    assert code == 0, err + cloud.plane.printed(card.stem)[-3000:]
    code, out, err = cloud.type("attach", card.stem)
    assert code == 0, err + cloud.plane.printed(card.stem)[-3000:]
    run = cloud.root / "runs" / card.stem
    record = json.loads((run / "stages" / "checkpoint.json").read_text())
    assert record["measured"] == record["recorded"] != {}
    facts = [row["name"] for row in json.loads((run / "stages" / "load.json").read_text())["facts"]]
    assert "result of the preflight" in facts
    assert "fact parameters" in Path(out.strip()).read_text()
    assert (run / "demo" / "curve.svg").exists()
    assert cloud.type("verify", card.stem)[0] == 0
