"""A script under a card on Modal: its code, packages and plug-ins go there, and its run ends as one here does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cardrunner.runs.files import sha256_file
from tests.modal_plane.cloud import TOY, Cloud
from tests.modal_plane.containers import executed

TRAINER = Path(__file__).parents[2] / "workloads" / "command" / "scripts" / "trainer.py"
SCRIPT: dict[str, Any] = {
    **{key: TOY[key] for key in ("card", "created", "sign_off", "after_training")},
    "goal": "Find out whether a script runs far away.",
    "workload": "command",
    "code": {"folder": "trainer", "files": ["**/*.py", "*.sh"]},
    "training": {
        "command": ["python", "train.py", "--iters={iters}", "--out", "{out}", "--pause", "{pause}"],
        "parameters": {"iters": 20, "pause": 0.1},
        "resume": ["--resume", "{checkpoint}"],
        "checkpoints": {"at": "{out}/ckpt.json"},
        "length": {"steps": "{iters}"},
        "metrics": [
            {"name": "val_loss", "direction": "min"},
            {"name": "loss", "direction": "min", "at": "log"},
        ],
        "report": {
            "stdout": [
                r"step (?P<step>\d+): val_loss (?P<val_loss>\S+)",
                r"iter (?P<step>\d+): loss (?P<loss>\S+)",
            ]
        },
        "select": {"metric": "val_loss", "mode": "min"},
        "first_metric": "60s",
        "stop": {"grace": "5s"},
    },
    "infra": {"platform": "modal", "gpu": "T4", "price": "$0.59/h", "timeout": "1h", "retries": 2},
    "timing": {"total": "10s"},
    "targets": [{"metric": "val_loss", "below": 1.0}],
}


@pytest.fixture
def trainer(cloud: Cloud) -> Path:
    """The folder of the script, with a module beside it that tells from where it was imported."""
    folder = cloud.root / "trainer"
    folder.mkdir()
    lines = TRAINER.read_text().replace("from __future__ import annotations\n", "", 1)
    (folder / "train.py").write_text(f"import beside\n{lines}")
    (folder / "beside.py").write_text('import os\nprint("code in", os.path.dirname(__file__), flush=True)\n')
    (folder / "setup.sh").write_text("echo hello\n")
    (folder / "setup.sh").chmod(0o755)
    return folder


def signed(cloud: Cloud, changes: dict[str, Any] | None = None) -> Path:
    """A card of the script with the digest of its code."""
    card = cloud.card(changes, base=SCRIPT)
    code, _, err = cloud.type("code", card, "--write")
    assert code == 0, err
    return card


def steps(cloud: Cloud, run: str, kind: str) -> list[int]:
    rows = (cloud.folder(run) / "history.jsonl").read_text().splitlines()
    return [row["step"] for row in map(json.loads, rows) if row["kind"] == kind]


def test_a_script_runs_there_from_its_own_copy_and_is_finished_here(cloud: Cloud, trainer: Path) -> None:
    corpus = cloud.volume.folder / "corpus.txt"
    corpus.write_text("to be or not to be\n")
    (trainer / "train.py").write_text(
        'print("data:", open("../corpus.txt").read().strip(), flush=True)\n' + (trainer / "train.py").read_text()
    )
    card = signed(cloud, {"data": {"source": [{"path": "/corpus.txt", "sha256": sha256_file(corpus)}]}})
    code, _, err = cloud.type("launch", card)
    assert code == 0, err + cloud.plane.printed(card.stem)[-3000:]
    shutil.rmtree(trainer)  # nothing of it is needed any more
    code, out, err = cloud.type("attach", card.stem)
    assert code == 0, err
    assert steps(cloud, card.stem, "train") == list(range(1, 21))
    log = cloud.type("logs", card.stem)[1]
    assert "data: to be or not to be" in log
    (place,) = {line for line in log.splitlines() if line.startswith("code in ")}
    assert f"/{card.stem}/code/trainer" in place
    assert str(cloud.root) not in place
    assert cloud.status(card.stem)["damage"] == []
    page = Path(out.strip()).read_text()
    assert "Metrics, reported by the script" in page
    kept = [path.read_bytes() for path in (cloud.folder(card.stem) / "kept").glob("0*/ckpt.json")]
    assert (cloud.root / "out" / "best.pt").read_bytes() in kept
    (began,) = cloud.events(card.stem, "container")
    image = began["image"]
    written = json.loads((cloud.root / "runs" / card.stem / "code.json").read_text())
    assert image["code"] == written["sha256"]
    assert not any(line.startswith("torch") for line in image["packages"])
    assert image["sha256"][:12] in page
    assert not any(path.name == "code" for path in cloud.folder(card.stem).iterdir())
    assert cloud.type("verify", card.stem)[0] == 0


def test_it_is_stopped_from_here_and_goes_on_from_another_machine(cloud: Cloud, trainer: Path, tmp_path: Path) -> None:
    card = signed(cloud, {"training.parameters": {"iters": 40, "pause": 0.3}})
    code, _, err = cloud.type("launch", card)
    assert code == 0, err + cloud.plane.printed(card.stem)[-3000:]
    cloud.plane.wait(lambda: cloud.plane.durable_step(cloud.volume, card.stem) >= 5)
    code, _, err = cloud.type("stop", card.stem, "--wait", "100")
    assert code == 0, err
    before = steps(cloud, card.stem, "train")
    assert 5 <= before[-1] < 40
    kept = cloud.folder(card.stem) / "kept"
    assert list(kept.glob("0*/ckpt.json"))
    third = tmp_path / "third"
    (third / "runcards").mkdir(parents=True)
    shutil.copy(card, third / "runcards")
    shutil.copytree(cloud.root / ".cardrunner", third / ".cardrunner")
    code, _, err = cloud.type("finish", card.stem, cwd=third)
    assert code == 5, err
    code, _, err = cloud.type("resume", card.stem, cwd=third)
    assert code == 0, err + cloud.plane.printed(card.stem)[-3000:]
    again = cloud.call(card.stem)
    cloud.plane.wait(lambda: again.is_over)
    assert steps(cloud, card.stem, "train") == list(range(1, 41))
    (resumed,) = cloud.events(card.stem, "resumed")
    assert resumed["step"] >= 5
    assert len(list(kept.glob("[0-9]*/checkpoint.json"))) <= 3, "copies that were replaced are gone from the volume"


def test_a_lost_container_costs_what_was_not_committed(cloud: Cloud, trainer: Path) -> None:
    card = signed(cloud, {"training.parameters": {"iters": 30, "pause": 0.3}})
    cloud.plane.script(cloud.volume, card.stem, (5, "lost"), (15, "preempted"))
    call = cloud.launched(card)
    cloud.plane.wait(lambda: call.is_over)
    assert call.attempts == ["lost", "preempted", "success"], cloud.plane.printed(card.stem)[-3000:]
    assert steps(cloud, card.stem, "train") == list(range(1, 31))
    assert steps(cloud, card.stem, "validation") == [5, 10, 15, 20, 25, 30]
    assert cloud.events(card.stem, "attempt_ended")[-1]["state"] == "completed"


def typed(cloud: Cloud, site: Path, *words: str) -> None:
    """Type a command in an interpreter of its own, which has the packages of a folder."""
    environment = {**os.environ, **cloud.plane.environment, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "cardrunner", *words]
    done = subprocess.run(command, cwd=cloud.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + cloud.plane.printed()[-3000:]


def test_the_sources_of_a_plug_in_are_in_the_image(cloud: Cloud, trainer: Path) -> None:
    site = cloud.root / "site"
    info = site / "acme_rules-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[cardrunner.kill_rules]\nrises_by = acme_rules:RisesBy\n")
    shutil.copy(Path(__file__).parents[2] / "extensions" / "kill_rule" / "acme_rules.py", site)
    rules = [{"metric": "val_loss", "rises_by": 1000, "action": "stop"}]
    card = cloud.card({"kill_thresholds": rules, "infra.retries": 0}, base=SCRIPT)
    typed(cloud, site, "code", str(card), "--write")
    cloud.plane.start_containers(executed)  # fresh interpreters, whose path has the image alone
    try:
        typed(cloud, site, "launch", str(card))
        cloud.plane.wait(lambda: cloud.call(card.stem).is_over)
    finally:
        cloud.plane.start_containers()
    (began,) = cloud.events(card.stem, "container")
    (plugin,) = began["image"]["plugins"]
    assert (plugin["package"], plugin["adds"]) == ("acme-rules", ["kill rule rises_by"])
    (ran,) = cloud.events(card.stem, "attempt_started")
    assert ran["environment"]["plugins"] == [plugin], "the digest of its sources is the same there"
    assert cloud.events(card.stem, "attempt_ended")[-1]["state"] == "completed"
    assert not any("no signature covers" in event["message"] for event in cloud.events(card.stem, "warning"))


def test_what_cannot_be_carried_is_a_fault_of_validate_and_of_plan(cloud: Cloud, trainer: Path) -> None:
    (trainer / "corpus.bin").write_bytes(b"x")
    command = [".venv/bin/python", "train.py", "--data=corpus.bin"]
    card = cloud.card({"training.command": command, "training.parameters": {}, "training.length": None}, base=SCRIPT)
    for word in ("validate", "plan"):
        code, out, err = cloud.type(word, card)
        assert code == 2
        said = out + err
        assert "training.command[0]: is .venv/bin/python, a program of this machine; write its name" in said
        assert "training.command[2]: names corpus.bin, which is here and not part of the code" in said
    (trainer / "large.py").write_bytes(b"#" * 70_000_000)
    said = cloud.type("validate", card)[1]
    assert "code.folder: large.py has 70 MB, and a file of the code that is carried has at most" in said
