from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from cardrunner.gate import run_check
from cardrunner.gate.check_run import KEPT_CHARACTERS, CheckResult, plain_output
from cardrunner.workspace import Workspace


def check(root: Path, *argv: str, timeout: float = 20) -> CheckResult:
    return run_check(argv, Workspace(root), timeout=timeout)


def python(root: Path, code: str, timeout: float = 20) -> CheckResult:
    return check(root, "python", "-c", code, timeout=timeout)


def test_a_check_that_ends_well_is_ok_and_keeps_its_output(tmp_path: Path) -> None:
    result = check(tmp_path, "echo", "all 3 passed")
    assert result.ok
    assert result.ending.startswith("exit code 0 after ")
    assert result.output == "all 3 passed"
    assert result.evidence.splitlines() == [f"echo 'all 3 passed': {result.ending}", "all 3 passed"]


def test_a_check_that_fails_is_not_ok(tmp_path: Path) -> None:
    result = python(tmp_path, "import sys; print('no', file=sys.stderr); sys.exit(3)")
    assert not result.ok
    assert result.ending.startswith("exit code 3 after ")
    assert result.output == "no"


def test_a_check_runs_in_the_root_of_the_workspace(tmp_path: Path) -> None:
    assert check(tmp_path, "pwd").output == str(tmp_path.resolve())


def test_a_check_uses_the_python_that_cardrunner_runs_in(tmp_path: Path) -> None:
    assert python(tmp_path, "import sys; print(sys.prefix)").output == sys.prefix


@pytest.mark.parametrize("word", ["$(touch made)", "; touch made", "`touch made`", "> made", "-n", "*", "$HOME"])
def test_no_word_ever_reaches_a_shell(tmp_path: Path, word: str) -> None:
    result = check(tmp_path, "printf", "%s", word)
    assert result.output == word
    assert not (tmp_path / "made").exists()


def test_a_first_word_that_looks_like_an_option_is_a_command_that_is_not_there(tmp_path: Path) -> None:
    result = check(tmp_path, "-c", "touch made")
    assert not result.ok
    assert "'-c' could not be started" in result.ending
    assert not (tmp_path / "made").exists()


def test_a_command_that_is_not_there_is_a_failure_with_the_next_step(tmp_path: Path) -> None:
    result = check(tmp_path, "no-such-command-here")
    assert not result.ok
    assert "No such file or directory); install it, or correct the check in the card" in result.ending


def test_nothing_is_read_from_the_terminal(tmp_path: Path) -> None:
    assert check(tmp_path, "cat").ok


def test_a_check_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path) -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    begun = time.monotonic()
    result = python(tmp_path, code, timeout=1)
    assert time.monotonic() - begun < 10
    assert result.ending == "killed after 1 s, the longest a check may take"
    assert not result.ok
    assert_gone(int(result.output))


def test_what_a_check_leaves_behind_does_not_keep_it_waiting(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
    begun = time.monotonic()
    result = python(tmp_path, code)
    assert time.monotonic() - begun < 10
    assert result.ok
    assert_gone(int(result.output))


def assert_gone(pid: int) -> None:
    for _ in range(100):
        stat = Path(f"/proc/{pid}/stat")
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")


def test_a_check_killed_by_a_signal_says_which(tmp_path: Path) -> None:
    result = python(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert not result.ok
    assert result.ending.startswith("killed by signal 9")


def test_only_the_end_of_a_long_output_is_kept_and_all_of_it_is_shown(tmp_path: Path) -> None:
    shown: list[bytes] = []
    chatty = ("python", "-c", "print('x' * 3_000_000); print('the end')")
    result = run_check(chatty, Workspace(tmp_path), show=shown.append)
    assert len(result.output) == KEPT_CHARACTERS
    assert result.output.endswith("xxx\nthe end")
    assert sum(map(len, shown)) == 3_000_009


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("10%\r20%\r\ndone\n", "10%\n20%\ndone"),
        ("a\x00b\x08c", "a\ufffdb\ufffdc"),
        ("a\u202eb\u2028c", "a\ufffdb\ufffdc"),
        ("e\u0301", "é"),
        ("日本 👍", "日本 👍"),
    ],
)
def test_output_is_cleaned_of_what_a_card_may_not_hold(raw: str, clean: str) -> None:
    assert plain_output(raw) == clean
