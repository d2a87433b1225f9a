"""A process that has everything imported and forks others on demand, which saves each of them seconds.

Run as a script; one JSON line in for each process: code, arguments, cwd, limit, environment, and the files out, err and
ended; one line out: its number. How it ends stands in the file `ended`. Interpreters that it would start, of workers,
torchrun and its processes, are forked too. All are processes like any other, with sessions, signals and files of their
own.
"""

from __future__ import annotations

import contextlib
import contextvars
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import resource
import runpy
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.sketch import SKETCH

PRELOADED = (
    "torch", "torch._dynamo", "torch.distributed.run", "matplotlib.pyplot", "cardrunner.main",
    "cardrunner.executors.local", "cardrunner.launching.worker", "cardrunner.launching.supervisor",
    "cardrunner.launching.tracker_process", "cardrunner.launching.rank", "cardrunner.report.plots",
    "cardrunner.stages.load", "cardrunner.stages.checkpoint", "cardrunner.stages.download", "cardrunner.stages.demo",
    "cardrunner.stages.processes", "cardrunner.stages.revalidation",
    "cardrunner.workloads.toy.workload",
)  # fmt: skip
FAR = ("modal._container_entrypoint", "cardrunner.executors.modal_cloud.executor")
"""Imported too where Modal's SDK is installed."""
STARTERS = (
    "cardrunner.executors.local", "cardrunner.stages.processes", "cardrunner.tracking.tracker_processes",
    "cardrunner.executors.modal_cloud.attempt",
)  # fmt: skip
"""Modules that start interpreters."""


class ForkedModule:
    """Stands in for the `subprocess.Popen` of ``python -m MODULE``."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        stdin: int | None = None,
        stdout: Any = None,
        stderr: Any = None,
        env: dict[str, str],
        **_: Any,
    ) -> None:
        self.returncode: int | None = None
        self.stdin: Any = None
        here = there = None
        if stdin == subprocess.PIPE:
            here, there = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            given = os.open(os.devnull, os.O_RDONLY) if stdin == subprocess.DEVNULL else 0
            fresh(*(given if here is None else here, *((stdout.fileno(),) * 2 if stdout else (1, 2))))
            os.environ.clear()
            os.environ.update(env)
            if args[0] == "nice":  # nice -n N python -m MODULE
                os.nice(int(args[2]))
            leave(lambda: run_module(list(args)))
        if here is not None and there is not None:
            os.close(here)
            self.stdin = os.fdopen(there, "wb", buffering=0)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code."""
        until = time.monotonic() + (timeout or 1e9)
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("forked", timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Signal it, unless it is gone."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> ForkedModule:
        return self

    def __exit__(self, *_: object) -> None:
        if self.stdin:
            self.stdin.close()
        self.wait()

    def _wait(self, flags: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def run_module(words: list[str]) -> None:
    """``python [-u] -m MODULE ARGUMENTS...``."""
    at = words.index("-m") + 1
    sys.argv = words[at:]
    warnings.simplefilter("ignore")  # it is imported already
    contextvars.Context().run(runpy.run_module, words[at], run_name="__main__", alter_sys=True)


def fresh(stdin: int, out: int, err: int) -> None:
    """Make this process its own: session, signals, streams."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    copies = [os.dup(stream) for stream in (stdin, out, err)]
    for target, source in enumerate(copies):
        os.dup2(source, target)
    os.closerange(3, 256)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115


def leave(work: Any) -> None:
    """Do it and end, whatever happens."""
    code = 130  # of a Ctrl-C, also of one that comes while another is answered
    try:
        code = int(work() or 0)
    except SystemExit as error:
        code = int(error.code or 0)
    except KeyboardInterrupt:
        pass
    except BaseException:
        code = 1
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def run(order: dict[str, Any]) -> None:
    """What a forked process does."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    fresh(os.open(os.devnull, os.O_RDONLY), os.open(order["out"], flags), os.open(order["err"], flags))
    os.chdir(order["cwd"])
    sys.path[0:0] = [order["cwd"]]
    sys.argv = ["zygote", *order["arguments"]]
    if order["environment"] is not None:
        sys.path[1:1] = filter(None, order["environment"].get("PYTHONPATH", "").split(os.pathsep))
        os.environ.clear()
        os.environ.update(order["environment"])
    if order["limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
    forking = SimpleNamespace(**{**vars(subprocess), "Popen": ForkedModule})
    for name in STARTERS:
        vars(importlib.import_module(name))["subprocess"] = forking
    handler = "torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler"
    vars(importlib.import_module(handler))["Popen"] = ForkedModule
    leave(lambda: exec(compile(order["code"], "<test>", "exec"), {"__name__": "__main__"}))


def started(order: dict[str, Any]) -> int:
    """Fork a process, and one that waits for it and writes down how it ended."""
    here, there = os.pipe()
    keeper = os.fork()
    if keeper:
        os.close(there)
        pid = int(os.read(here, 32))
        os.close(here)
        return pid
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if not pid:
        run(order)
    os.write(there, str(pid).encode())
    os.close(there)
    _, status = os.waitpid(pid, 0)
    ended = Path(order["ended"])
    ended.with_suffix(".new").write_text(str(os.waitstatus_to_exitcode(status)))
    ended.with_suffix(".new").rename(ended)
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    for name in (*PRELOADED, *(FAR if importlib.util.find_spec("modal") else ())):
        importlib.import_module(name)
    commands = importlib.import_module("cardrunner.commands")
    for found in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"cardrunner.commands.{found.name}")
    vars(importlib.import_module("cardrunner.report.plots"))["rendered"] = lambda canvas: SKETCH
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    say("ready")
    for line in iter(sys.stdin.readline, ""):
        say(started(json.loads(line)))


def say(word: object) -> None:
    """To whoever asked."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
