"""A script is ended with everything that it started, and nothing else is touched."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import cardrunner
from cardrunner.errors import CardrunnerError
from cardrunner.runs.process_identity import start_time
from cardrunner.workloads.command.process import Command, Patience, Script, end_leftovers, script_environment
from cardrunner.workloads.command.process_tree import Family, Process, all_processes, processes_of_ps, send

SCRIPTS = Path(__file__).parent / "scripts"
BRISK = Patience(grace=0.3, helpers=0.1, poll=0.01)
Start = Callable[..., Script]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Script] = []

    def start(*argv: str) -> Script:
        script = Script.start(Command((sys.executable, *argv) if argv[0] != "sh" else argv, tmp_path))
        started.append(script)
        return script

    yield start
    for script in started:
        assert script.end(signal.SIGKILL, BRISK).left == ()
        script.output.close()


def named(name: str) -> str:
    return str(SCRIPTS / f"{name}.py")


def read_until(script: Script, pattern: str, *, seconds: float = 20) -> re.Match[str]:
    text, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([script.output], [], [], 0.1)[0]:
            block = os.read(script.output.fileno(), 65_536)
            text += block.decode()
            if found := re.search(pattern, text, re.DOTALL):
                return found
            if not block:
                break
    raise AssertionError(f"{pattern} was not printed: {text}")


def test_a_script_that_ends_when_asked_is_left_alone_until_then(start: Start) -> None:
    script = start(named("polite"))
    read_until(script, "step")
    end = script.end(signal.SIGTERM, replace(BRISK, grace=20))
    assert (end.code, end.asked, end.killed, end.left, end.sentence) == (0, signal.SIGTERM, (), (), None)
    assert end.seconds < 10


def test_a_script_that_ignores_the_request_is_killed_after_its_grace(start: Start) -> None:
    script = start(named("ignores_sigterm"))
    read_until(script, "ready")
    end = script.end(signal.SIGTERM, BRISK)
    assert (end.code, end.left) == (-signal.SIGKILL, ())
    assert [process.pid for process in end.killed] == [script.pid]
    assert end.sentence is not None
    assert f"(process {script.pid}) did not end when asked to, and was killed" in end.sentence
    assert 0.3 <= end.seconds < 5


def test_a_child_in_another_session_whose_parent_has_ended_is_killed_too(start: Start) -> None:
    script = start(named("stray_child"), "600")
    stray = int(read_until(script, r"stray (\d+)\n")[1])
    assert start_time(stray) is not None
    end = script.end(signal.SIGTERM, BRISK)
    assert stray in [process.pid for process in end.killed]
    assert start_time(stray) is None
    assert end.left == ()


def test_a_child_that_outlives_a_script_which_ended_by_itself_is_killed_too(start: Start) -> None:
    script = start(named("stray_child"), "0")
    stray = int(read_until(script, r"stray (\d+)\n")[1])
    while script.poll() is None:
        time.sleep(0.01)
    end = script.end(signal.SIGTERM, BRISK)
    assert (end.code, end.asked) == (0, None)
    assert [process.pid for process in end.killed] == [stray]


@pytest.mark.parametrize("manner", ["waits", "leaves"])
def test_the_workers_of_a_launcher_end_with_it(start: Start, manner: str) -> None:
    script = start(named("launcher"), manner)
    read_until(script, "rank . ready.*rank . ready")
    assert len(script.processes()) == 3
    end = script.end(signal.SIGTERM, replace(BRISK, grace=20))
    assert (end.code, end.killed, end.left) == (1, (), ())
    assert script.processes() == []


def test_the_workers_of_a_launcher_that_is_killed_from_outside_are_ended(start: Start) -> None:
    script = start(named("launcher"), "waits")
    read_until(script, "rank . ready.*rank . ready")
    os.kill(script.pid, signal.SIGKILL)
    end = script.end(signal.SIGTERM, replace(BRISK, grace=20))
    assert (end.code, end.left) == (-signal.SIGKILL, ())
    assert script.processes() == []


def test_a_script_that_a_shell_runs_has_its_grace_although_the_shell_ends_at_once(start: Start, tmp_path: Path) -> None:
    saving = "import signal, sys, time, pathlib\n" + (
        "def save(*_):\n    time.sleep(0.3)\n    pathlib.Path('saved').touch()\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\ntime.sleep(600)\n"
    )
    (tmp_path / "train.py").write_text(saving)
    script = start("sh", "-c", f"{sys.executable} train.py; true")
    read_until(script, "ready")
    end = script.end(signal.SIGTERM, replace(BRISK, grace=20))
    assert (end.code, end.killed) == (-signal.SIGTERM, ())
    assert (tmp_path / "saved").exists()


def test_a_helper_that_needs_a_moment_may_finish(start: Start, tmp_path: Path) -> None:
    helper = "import time, pathlib; time.sleep(0.3); pathlib.Path('sent').touch()"
    script = start("-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {helper!r}])")
    while script.poll() is None:
        time.sleep(0.01)
    end = script.end(signal.SIGTERM, replace(BRISK, grace=10, helpers=10))
    assert (end.killed, end.left) == ((), ())
    assert (tmp_path / "sent").exists()


def test_a_child_that_drops_its_environment_is_found_by_its_parent_or_session(start: Start) -> None:
    script = start("-c", "import subprocess, time; subprocess.Popen(['sleep', '600'], env={}); time.sleep(600)")
    while len(script.processes()) < 2:
        time.sleep(0.01)
    os.kill(script.pid, signal.SIGKILL)
    end = script.end(signal.SIGTERM, BRISK)
    assert end.left == ()
    assert script.processes() == []


def test_orphans_that_ended_leave_no_zombie(start: Start) -> None:
    script = start(named("stray_child"), "600")
    stray = int(read_until(script, r"stray (\d+)\n")[1])
    script.processes()
    os.kill(stray, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(process.pid == stray for process in all_processes()) and time.monotonic() < deadline:
        script.processes()
        time.sleep(0.01)
    assert not Path(f"/proc/{stray}").exists()


def test_a_process_that_another_has_started_is_no_member(start: Start) -> None:
    script = start(named("silent"))
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        try:
            assert [process.pid for process in script.processes()] == [script.pid]
            script.end(signal.SIGTERM, BRISK)
            assert other.poll() is None
        finally:
            other.kill()


WATCHER = """
import sys, time
from pathlib import Path
from cardrunner.workloads.command.process import Command, Script
script = Script.start(Command((sys.executable, sys.argv[1], "600"), Path.cwd()), mark="the-run")
print(script.output.readline().decode(), script.pid, flush=True)
time.sleep(600)
"""


def test_what_a_killed_watcher_left_is_found_by_its_mark_and_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WATCHER, named("stray_child")], stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout is not None
        stray = int(watcher.stdout.readline().split()[1])
        script = int(watcher.stdout.readline())
        watcher.kill()
    assert start_time(script) is not None
    assert end_leftovers("another-run") == ()
    assert {process.pid for process in end_leftovers("the-run", BRISK)} == {stray, script}
    assert (start_time(stray), start_time(script)) == (None, None)
    assert end_leftovers("the-run") == ()


def test_a_second_request_is_not_sent(start: Start, tmp_path: Path) -> None:
    counting = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
    script = start("-c", counting + "print('ready', flush=True)\nwhile True: time.sleep(0.02)")
    read_until(script, "ready")
    script.ask()
    script.ask(signal.SIGINT)
    assert script.asked == signal.SIGTERM
    script.end(signal.SIGTERM, BRISK)
    assert b"".join(iter(lambda: script.output.read(4096), b"")).count(b"asked") == 1


def test_a_number_that_another_process_has_by_now_is_not_signalled() -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        found = next(process for process in all_processes() if process.pid == other.pid)
        assert not send(replace(found, began=str(int(found.began) - 1)), signal.SIGKILL)
        assert other.poll() is None
        assert send(found, signal.SIGKILL)
        assert other.wait() == -signal.SIGKILL
    assert not send(found, signal.SIGKILL)


def test_members_are_told_by_what_lives_now() -> None:
    """A session's number is given again once it is empty, so the session of an ended member tells nothing."""
    root = Process(10, 1, 10, "100", "python")
    child = Process(11, 10, 11, "101", "worker")
    stranger = Process(12, 1, 11, "300", "stranger")
    looks = iter([[root, child], [replace(child, parent=1)], [stranger]])
    family = Family(root, "no-such-mark", lambda: next(looks))
    assert family.living() == [root, child]
    assert family.living() == [replace(child, parent=1)]
    assert family.living() == []


def test_ps_tells_the_same_where_there_is_no_proc(start: Start) -> None:
    script = start(named("launcher"), "waits")
    read_until(script, "rank . ready.*rank . ready")
    root = next(process for process in processes_of_ps() if process.pid == script.pid)
    found = Family(root, "no-such-mark", processes_of_ps).living()
    assert {process.pid for process in found} == {process.pid for process in script.processes()}
    assert len(found) == 3


def test_a_script_that_needs_a_terminal_says_so_itself(start: Start) -> None:
    script = start(named("asks_a_person"))
    read_until(script, "EOFError: EOF when reading a line")
    while script.poll() is None:
        time.sleep(0.01)
    assert script.end(signal.SIGTERM, BRISK).code == 1


def test_the_environment_is_unbuffered_and_holds_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "cardrunner").symlink_to(Path(cardrunner.__file__).parent)
    (code / "cardrunner-0.1.0.dist-info").mkdir()
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "cardrunner").symlink_to(Path(cardrunner.__file__).parent)
    (shared / "numpy").mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{code}{os.pathsep}{shared}{os.pathsep}/absent")
    environment = script_environment({"OMP_NUM_THREADS": "2"})
    assert environment["PYTHONPATH"] == f"{shared}{os.pathsep}/absent"
    assert (environment["PYTHONUNBUFFERED"], environment["OMP_NUM_THREADS"]) == ("1", "2")
    monkeypatch.setenv("PYTHONPATH", str(code))
    assert "PYTHONPATH" not in script_environment({})


@pytest.mark.parametrize(
    ("argv", "cwd", "words"),
    [
        (("no-such-program-here",), ".", "no-such-program-here is not installed: no folder of PATH has it"),
        ((".venv/bin/python", "train.py"), ".", ".venv/bin/python is not there (run in "),
        (("./gone",), ".", "./gone leads to an interpreter that is gone; make its virtual environment anew"),
        (("./text",), ".", "./text cannot be run; name its interpreter first"),
        (("sh",), "absent", "absent that it runs in does not exist"),
        (("sh", "a\0b"), ".", "an argument holds no NUL character"),
        (("sh", "x" * 3_000_000), ".", "its arguments are longer than the system allows"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(tmp_path: Path, argv: tuple[str, ...], cwd: str, words: str) -> None:
    (tmp_path / "gone").symlink_to("/absent/bin/python")
    (tmp_path / "text").write_text("print()\n")
    with pytest.raises(CardrunnerError, match=re.escape(words)):
        Script.start(Command(argv, tmp_path / cwd))
