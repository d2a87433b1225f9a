"""`cardrunner logs`: what the worker printed."""

from __future__ import annotations

import argparse
import sys
import time

from cardrunner.commands.run_arguments import add_run_argument, run_to_read
from cardrunner.common.redaction import hide
from cardrunner.launching.submit import refresh
from cardrunner.runs.files import explained
from cardrunner.runs.folder import RunFolder
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
    if not folder.log.exists() and not options.follow:
        print(f"run {folder.name} has no log: its worker printed nothing", file=sys.stderr)
        return 0
    offset = 0
    while True:
        live = options.follow and (
            is_supervised(folder) or derive_status(folder).live
        )  # determined before the last read
        offset = _print_from(folder, offset)
        if not live:
            return 0
        time.sleep(_LOOK_SECONDS)
        refresh(folder)


def _print_from(folder: RunFolder, offset: int) -> int:
    if not folder.log.exists():
        return offset
    with explained(folder.log, "read"), folder.log.open("rb") as log:
        log.seek(offset)
        data = log.read()
    print(hide(data.decode(errors="replace")), end="", flush=True)
    return offset + len(data)
