"""`cardrunner attach`: watch a run from any shell."""

from __future__ import annotations

import argparse
import sys

from cardrunner.commands.run_arguments import add_run_argument, next_steps, progress_of, report_ending, run_to_read
from cardrunner.errors import Interrupted
from cardrunner.launching.submit import attach
from cardrunner.runs.inspect import in_lines, run_damage
from cardrunner.runs.status import derive_status

HELP = "watch a run to its end; leaving does not affect it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    add_run_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Watch; ends with the run's own exit code."""
    folder = run_to_read(options)
    try:
        ending = attach(folder, progress=progress_of(options))
    except KeyboardInterrupt:
        status = derive_status(folder)
        print(f"left; run {folder.name} {'goes on' if status.live else f'is {status.state}'}", file=sys.stderr)
        next_steps(status, options)
        return Interrupted.exit_code
    for line in in_lines(one for one in run_damage(folder) if one.kind != "unsealed"):
        print(f"warning: {line}", file=sys.stderr)
    code = report_ending(ending)
    next_steps(ending.status, options)
    return code
