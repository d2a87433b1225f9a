from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cardrunner.main import main

ROOT = Path(__file__).parents[2]
POLICY = str(ROOT / "runcards" / "policy-22k.yaml")
TYPO = str(ROOT / "tests" / "cards" / "invalid" / "typo-in-key.yaml")
SHORT = str(ROOT / "tests" / "cards" / "valid" / "policy-22k-short.yaml")


def test_the_shipped_card_is_valid_and_its_warnings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", POLICY]) == 0
    out, err = capsys.readouterr()
    assert [": warning: " in line for line in out.splitlines()] == [True, True]
    assert err == "1 card, 0 faults, 2 warnings\n"


def test_a_fault_is_a_line_with_file_line_column_path_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", TYPO]) == 2
    out, err = capsys.readouterr()
    assert f'{TYPO}:25:3: training.epoch: unknown key; did you mean "epochs"?' in out.splitlines()
    assert err == "1 card, 2 faults, 0 warnings\n"


def test_many_cards_are_checked_in_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", SHORT, TYPO, POLICY, "/nowhere/card.yaml"]) == 2
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == [TYPO, TYPO, POLICY, POLICY, "/nowhere/card.yaml"]
    assert err == "4 cards, 3 faults, 2 warnings\n"


def test_json_stands_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--json", TYPO, POLICY]) == 2
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert {key for entry in found for key in entry} == {"file", "line", "column", "path", "message", "severity"}
    assert [entry["severity"] for entry in found] == ["error", "error", "warning", "warning"]
    assert err.endswith("warnings\n")


def test_quiet_says_nothing_about_a_valid_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--quiet", SHORT]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["validate", "digest", "render"])
def test_reading_a_card_imports_nothing_heavy(command: str) -> None:
    heavy = {"torch", "modal", "wandb", "numpy", "matplotlib", "peppi_py", "cryptography"}
    heavy |= {"jinja2", "rich"} if command == "validate" else {"rich"}
    probe = f"import sys; from cardrunner.main import main; main([{command!r}, {SHORT!r}])"
    probe += f"; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ
    )
    assert done.stdout.splitlines()[-1] == "[]"
