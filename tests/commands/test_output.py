"""How the command ends: what it printed is there, whatever its output leads to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
POLICY = "runcards/policy-22k.yaml"


def cardrunner(*words: str, **how: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cardrunner", *words]
    return subprocess.run(command, cwd=ROOT, text=True, stderr=subprocess.PIPE, check=False, **how)


def test_a_long_answer_comes_whole_through_a_pipe() -> None:
    done = cardrunner("schema", stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "runcards" / "card.schema.json").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("digest", POLICY), ("schema",)], ids=["short", "long"])
def test_output_that_nobody_can_keep_is_said_with_7(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = cardrunner(*words, stdout=full)
    said = "the output cannot be written: No space left on device; make room, or write it elsewhere\n"
    assert (done.returncode, done.stderr) == (7, said)


def test_a_reader_who_leaves_early_is_no_error() -> None:
    here, there = os.pipe()
    os.close(here)
    done = cardrunner("schema", stdout=there)
    os.close(there)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_an_output_the_exit_code_still_tells() -> None:
    assert cardrunner("digest", POLICY, preexec_fn=lambda: os.close(1)).returncode == 0
    assert cardrunner("render", POLICY, preexec_fn=lambda: os.close(1)).returncode == 0
    assert cardrunner("validate", "nowhere.yaml", preexec_fn=lambda: os.close(1)).returncode == 2


def test_an_output_without_a_letter_gets_its_number_instead() -> None:
    done = cardrunner("render", POLICY, stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "hasn't seen \\u2014 this" in done.stdout
