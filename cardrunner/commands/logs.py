"""`cardrunner logs`: what the worker printed, and the script that it ran."""

from __future__ import annotations

import argparse
import io
import sys
import time
from pathlib import Path

from cardrunner.commands.run_arguments import add_run_argument, run_to_read
from cardrunner.common.redaction import hide
from cardrunner.launching.submit import refresh
from cardrunner.runs.files import explained
from cardrunner.runs.lease import is_supervised
from cardrunner.runs.status import derive_status

HELP = "print what the worker of a run printed"
_LOOK_SECONDS = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and whether to follow."""
    add_run_argument(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="stay, and print what comes, until the run ends")


def run(options: argparse.Namespace) -> int:
    """Print the log."""
    folder = run_to_read(options)
    if (problem := refresh(folder)) is not None:
        print(problem, file=sys.stderr)
    logs = (folder.log, folder.script_log)
    if not any(log.exists() for log in logs) and not options.follow:
        print(f"run {folder.name} has no log: its worker printed nothing", file=sys.stderr)
        return 0
    offsets = dict.fromkeys(logs, 0)
    while True:
        live = options.follow and (
            is_supervised(folder) or derive_status(folder).live
        )  # determined before the last read
        offsets = {log: _print_from(log, offset) for log, offset in offsets.items()}
        if not live:
            return 0
        time.sleep(_LOOK_SECONDS)
        refresh(folder)


def _print_from(log: Path, offset: int) -> int:
    if not log.exists():
        return offset
    with explained(log, "read"), log.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        start = offset if offset <= size else 0  # a script's log that was full has begun anew
        stream.seek(start)
        data = stream.read()
    print(hide(data.decode(errors="replace")), end="", flush=True)
    return start + len(data)
