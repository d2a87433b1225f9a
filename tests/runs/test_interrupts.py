from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cardrunner.errors import Interrupted, RunStopped, Terminated
from cardrunner.runs.interrupts import StopRequest


def test_nobody_asked() -> None:
    stop = StopRequest()
    stop.raise_if_requested()
    assert stop.reason is None


@pytest.mark.parametrize(
    ("number", "reason", "error"),
    [(signal.SIGINT, "interrupted", Interrupted), (signal.SIGTERM, "terminated", Terminated)],
)
def test_a_signal_is_a_request(number: int, reason: str, error: type[Exception]) -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        assert stop.reason == reason
        with pytest.raises(error):
            stop.raise_if_requested()


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_request_file_stops_the_run(tmp_path: Path) -> None:
    stop = StopRequest(tmp_path / "stop.json")
    assert stop.reason is None
    (tmp_path / "stop.json").write_text("{}")
    time.sleep(0.3)  # the file is not looked for at every step
    with pytest.raises(RunStopped):
        stop.raise_if_requested()


def test_the_first_reason_stays() -> None:
    stop = StopRequest()
    stop.request("stopped")
    stop.request("interrupted")
    assert stop.reason == "stopped"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_the_process_at_once(number: int, code: int) -> None:
    program = (
        "import os, sys; from cardrunner.runs.interrupts import StopRequest\n"
        "with StopRequest() as stop:\n"
        "    os.kill(os.getpid(), int(sys.argv[1])); print(stop.reason, flush=True)\n"
        "    os.kill(os.getpid(), int(sys.argv[1])); print('still here', flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(int(number))], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "still here" not in done.stdout


def test_looking_costs_next_to_nothing(tmp_path: Path) -> None:
    stop = StopRequest(tmp_path / "stop.json")
    began = time.perf_counter()
    for _ in range(10_000):
        stop.raise_if_requested()
    assert time.perf_counter() - began < 0.5


def test_a_last_act_comes_before_the_end_by_a_second_signal() -> None:
    code = (
        "import os, signal, sys\n"
        "from cardrunner.runs.interrupts import StopRequest\n"
        "with StopRequest() as stop:\n"
        "    stop.last_act = lambda: os.write(1, b'ended what it started')\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "ended what it started")
