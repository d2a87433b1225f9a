"""`cardrunner finish`: the steps on this machine after a run has ended."""

from __future__ import annotations

import argparse

from cardrunner.commands.run_arguments import add_run_argument, next_steps, progress_of, report_ending, run_to_read
from cardrunner.launching.submit import finish

HELP = "download, demo and results card of a run that ended; safe to repeat"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    add_run_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Finish; ends with the run's own exit code."""
    ending = finish(run_to_read(options), progress=progress_of(options))
    code = report_ending(ending)
    next_steps(ending.status, options)
    return code
