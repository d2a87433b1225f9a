"""A run under CI that skips more than the listed tests fails and names what it skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import LIST, AllowedSkip, parse_allowed

ROOT = Path(__file__).parent.parent
TESTS = """
import pytest
def test_passes(): pass
def test_skips(): pytest.skip({reason!r})
"""


def run(folder: Path, reason: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A run of two tests, one of which is skipped."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_two.py").write_text(TESTS.format(reason=reason))
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "CARDRUNNER_DATA")}
    environment = {**kept, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [("-p", "no:xdist"), ("-n", "1")], ids=["one process", "workers"])
def test_under_ci_a_skip_that_is_not_listed_fails_the_run_and_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, "chromium is not there", *words, CI="true")
    assert done.returncode == 1
    assert "1 skipped for a reason that allowed_skips.txt does not list" in done.stdout
    assert "test_two.py::test_skips: chromium is not there\n" in done.stdout


def test_without_ci_it_is_a_skip(tmp_path: Path) -> None:
    assert run(tmp_path, "chromium is not there", "-p", "no:xdist").returncode == 0


@pytest.mark.parametrize(("folder", "code"), [("", 0), ("/data", 1)], ids=["without data", "with data"])
def test_a_listed_skip_passes_unless_what_it_lacks_is_there(tmp_path: Path, folder: str, code: int) -> None:
    reason = "CARDRUNNER_DATA names no folder with real games"
    assert run(tmp_path, reason, "-p", "no:xdist", CI="true", CARDRUNNER_DATA=folder).returncode == code


def test_every_listed_reason_is_one_that_a_test_gives() -> None:
    allowed = parse_allowed(LIST.read_text())
    assert AllowedSkip("root reads everything") in allowed
    assert AllowedSkip("CARDRUNNER_DATA is not set", unless="CARDRUNNER_DATA") in allowed
    sources = [path.read_text() for path in ROOT.glob("tests/**/*.py") if path != Path(__file__)]
    assert [skip.reason for skip in allowed if not any(f'"{skip.reason}"' in text for text in sources)] == []
