"""What a run, a script or an exception wrote reaches no terminal raw; what a bug leaves behind does not pile up."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardrunner import main as command
from cardrunner.main import main
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.ledger import Ledger
from cardrunner.tracking.progress import RichProgress, make_progress
from tests.ledger_lines import record

NASTY = "\x1b[2J\x1b]0;title\x07all is well\x9b"


@pytest.fixture
def nasty_run(toy_run: Callable[..., Any]) -> RunFolder:
    folder: RunFolder = toy_run().folder
    record(Ledger(folder.ledger), "attempt_started", attempt=1)
    record(Ledger(folder.ledger), "attempt_ended", attempt=1, state="failed", reason=NASTY, exit_code=1)
    folder.log.write_text(f"{NASTY}\n")
    return folder


@pytest.mark.parametrize("words", [["status", "toy-run"], ["status"], ["logs", "toy-run"], ["attach", "toy-run"]])
def test_terminal_codes_of_a_run_are_not_sent(
    nasty_run: RunFolder, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main([*words, "--runs", str(nasty_run.root.parent)])
    said = capsys.readouterr()
    assert "all is well\\x9b" in said.out + said.err
    assert not {"\x1b", "\x07", "\x9b"} & {*said.out, *said.err}


def test_terminal_codes_of_a_check_are_not_sent(
    make_card: Callable[..., Path], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    item = {"item": "it works", "check": ["printf", r"\033[2Jall is well\n"]}
    main(["check", str(make_card({"checklist": [item]})), "1"])
    said = capfdbinary.readouterr()
    assert b"all is well" in said.out
    assert b"\x1b" not in said.out + said.err


def test_a_terminal_gets_the_colours_of_the_command_and_no_codes_of_others() -> None:
    from rich.console import Console

    here, there = os.openpty()
    with open(there, "w") as stream:  # noqa: PTH123 - a terminal
        RichProgress(Console(file=stream, force_terminal=True, color_system="standard")).note(f"warning: {NASTY}")
        stream.flush()
        said = os.read(here, 4096)
    os.close(here)
    assert b"\x1b[33m" in said
    assert b"\x1b[2J" not in said
    assert b"\x1b]0" not in said
    assert isinstance(make_progress(quiet=True), object)


def test_the_logs_of_bugs_stand_in_one_folder_of_the_user_and_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "_run", lambda _options, words: sys.stdout.write(command._log_bug(words)))
    logs = tmp_path / "cache" / "cardrunner" / "logs"
    for number in range(22):
        main(["workloads"])
        for log in logs.iterdir():
            if log.stat().st_mtime > 1000:
                os.utime(log, (number, number))
    assert sorted(int(log.stat().st_mtime) for log in logs.iterdir()) == [*range(2, 22)]
    assert stat.S_IMODE(logs.stat().st_mode) == 0o700
    assert str(logs) in capsys.readouterr().out
