"""What the README claims is true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cardrunner import errors
from cardrunner.main import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.S | re.M)


def transcript() -> list[tuple[str, str]]:
    """(command, what it printed) of every prompt in the console block."""
    parts = re.split(r"^\$ (.*)\n", blocks("console")[0], flags=re.M)[1:]
    return [(command, output.strip()) for command, output in zip(parts[::2], parts[1::2], strict=True)]


@pytest.mark.parametrize(("command", "expected"), [pair for pair in transcript() if pair[0].startswith("cardrunner")])
def test_the_transcript_is_what_the_commands_print(command: str, expected: str) -> None:
    program = Path(sys.executable).with_name("cardrunner")
    ran = subprocess.run([program, *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip() + "\n" + ran.stderr.strip()).strip() == expected


def test_every_command_it_names_exists() -> None:
    named = set(re.findall(r"cardrunner ([a-z]+)", README)) & set(re.findall(r"`cardrunner ([a-z]+)", README))
    assert named
    assert named <= set(COMMANDS)


def test_its_exit_codes_are_those_of_the_errors() -> None:
    table = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", README, re.M) for code in row.split(",")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, errors.CardrunnerError)}
    assert table == raised | {0}


def test_its_extras_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for group in re.findall(r"\[([a-z,]+)\]", README) for name in group.split(",")}
    assert named <= extras.keys()


def test_its_test_line_is_what_ci_runs_and_brings_every_extra() -> None:
    line = blocks("bash")[1].strip()
    install, tests = line.split(" && ")
    script = (ROOT / ".ci/run").read_text()
    assert {f"install='{install}'", f"tests='{tests}'"} <= set(script.splitlines())
    assert install == 'pip install -e ".[all,test]"'


def test_every_file_and_folder_of_its_tree_exists() -> None:
    folder = ROOT
    for line in blocks("")[0].splitlines():
        names = [word for word in line[:26].split() if "." in word or word.endswith("/")]
        base = ROOT / "cardrunner" if line.startswith("  ") else ROOT
        for name in names:
            folder = base / name
            assert folder.exists(), f"{name} is in the README's tree but not there"
