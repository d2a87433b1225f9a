"""Every attempt runs the code that was signed and launched, and the run says what that was."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.workloads.command.test_whole_command_run import PAUSES, TRAINER, Team, team as team

PROBE = """import os, lib.tool
print("tool", lib.tool.WORD, "in", os.path.dirname(lib.tool.__file__), flush=True)
"""


def commit(team: Team, message: str) -> None:
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    subprocess.run(["git", "add", "-A"], cwd=team.root, check=True)
    subprocess.run(["git", *who, "commit", "-qm", message], cwd=team.root, check=True)


def locked(*lines: str) -> tuple[str, str]:
    return "code: {folder: .}", "code: {folder: ., lock: requirements.lock}"


def test_all_is_open_from_the_first_commit_to_a_resume_and_edits_concern_the_next_launch(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "hunter2-hunter2")
    (team.root / "lib").mkdir()
    tool, script = team.root / "lib" / "tool.py", team.root / "train.py"
    tool.write_text("WORD = 'committed'\n")
    script.write_text(PROBE + TRAINER.read_text())
    (team.root / "requirements.lock").write_text(f"pydantic=={version('pydantic')}\n")
    monkeypatch.setenv("PYTHONPATH", str(team.root))  # the working tree, which a run must not import from
    commit(team, "A tool")
    tool.write_text("WORD = 'signed'  # hunter2-hunter2\n")
    python = ("[python, train.py", f"[{sys.executable}, train.py")
    card = team.card("first", PAUSES, python, locked())
    team.cardrunner("code", card, "--write")
    commit(team, "A card")
    tool.write_text("WORD = 'later'  # hunter2-hunter2\n")
    team.cardrunner("code", card, "--write")
    team.cardrunner("sign", card, "--as", "rev", "--yes")
    said = " ".join(team.cardrunner("plan", card).split())
    assert ", 1 file changed since" in said
    assert f"$ {sys.executable} train.py --lr 0.1 --iters=20" in said
    assert "its packages are held against requirements.lock" in said
    assert "environment added: CARDRUNNER_OUT=" in said
    assert "a stop loses the steps since the newest whole checkpoint" in said
    team.cardrunner("launch", card, code=8)
    run = team.root / "runs" / "first"
    commit(team, "The admission")
    tool.write_text("WORD = 'next launch'\n")
    for planted in ("sitecustomize.py", "lib/extra.py"):
        (run / "code" / planted).write_text("raise SystemExit(9)\n")
    team.cardrunner("resume", "first", "--acknowledge", "seen")
    printed = [line for line in (run / "script.log").read_text().splitlines() if line.startswith("tool ")]
    assert printed == [f"tool later in {run / 'code' / 'lib'}"] * 2
    warned = (run / "ledger.jsonl").read_text()
    assert "sitecustomize.py could be imported and is no part of the code that was launched" in warned
    kept = json.loads((run / "code.json").read_text())
    patch = (run / "code.patch").read_text()
    assert kept["changed"] == ["lib/tool.py"]
    assert "+WORD = 'later'" in patch
    assert "hunter2" not in patch
    assert kept["patch"]["sha256"] == hashlib.sha256(patch.encode()).hexdigest()
    page = (run / "results.md").read_text()
    assert ", 1 file changed since" in page
    assert "code.patch, with secrets hidden" in page
    record = json.loads((run / "interpreter.json").read_text())
    assert record["packages"]["pydantic"] == version("pydantic")
    assert f"{len(record['packages'])} packages, sha256 {record['sha256'][:12]}" in page
    assert "0 differences" in team.cardrunner("verify", "first")


def test_no_acknowledgement_opens_the_gate_for_other_code(team: Team) -> None:
    card = team.signed("other", PAUSES)
    team.cardrunner("launch", card, code=8)
    copy = team.root / "runs" / "other" / "code" / "train.py"
    copy.write_text(copy.read_text() + "\n# other\n")
    said = team.cardrunner("resume", "other", "--acknowledge", "it is fine", code=4)
    assert "train.py is not what was signed and copied at the launch" in said


def test_a_package_that_differs_from_the_lock_is_named_before_the_script_starts(team: Team) -> None:
    lock = team.root / "requirements.lock"
    lock.write_text("pydantic==1.0\n")
    card = team.card("locked", locked())
    assert "code.lock: requirements.lock is not part of the code" in team.cardrunner("validate", card, code=2)
    commit(team, "A lock file")
    team.signed("locked", locked())
    said = team.cardrunner("launch", card, code=4)
    assert f"package pydantic is {version('pydantic')}, expected 1.0 (install what requirements.lock lists" in said
    assert not (team.root / "runs" / "locked" / "script.log").exists()
    lock.write_text("pydantic>=2\n")
    assert "requirements.lock:1: 'pydantic>=2' pins no version" in team.cardrunner("validate", card, code=2)


def test_a_program_of_the_working_tree_is_no_way_around_the_signature(team: Team) -> None:
    (team.root / ".gitignore").write_text("run.sh\n.venv/\n")
    script = team.root / "run.sh"
    script.write_text("#!/bin/sh\nexec python train.py\n")
    script.chmod(0o755)
    said = team.cardrunner("validate", team.card("program", ("[python, train.py", "[./run.sh")), code=2)
    assert "training.command[0]: ./run.sh is not part of the code, so that signatures do not cover it" in said
    tree = team.card("tree", ("[python, train.py", f"[python, {team.root}/train.py"))
    said = team.cardrunner("validate", tree, code=2)
    assert "which is in the working tree, and a run has its own copy; write train.py" in said
    (team.root / ".venv" / "bin").mkdir(parents=True)
    (team.root / ".venv" / "pyvenv.cfg").write_text("")
    (team.root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    team.cardrunner("validate", team.card("venv", ("[python, train.py", "[.venv/bin/python, train.py")))


def test_an_argument_that_names_a_file_beside_the_code_is_told(team: Team) -> None:
    (team.root / ".gitignore").write_text("corpus.txt\n")
    (team.root / "corpus.txt").write_text("")
    card = team.card("beside", ("--lr,", "--data=corpus.txt, --lr,"))
    said = team.cardrunner("validate", card)
    assert "warning: training.command[2]: names corpus.txt, which is here and not part of the code" in said
