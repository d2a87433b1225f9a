"""`cardrunner resume`: continue from the newest valid checkpoint with the same card."""

from __future__ import annotations

import argparse

from cardrunner.commands.run_arguments import add_run_argument, next_steps, progress_of, report_ending, run_of
from cardrunner.launching.launch import resume

HELP = "go on with a run that ended before its plan did"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and the answer that a paused one waits for."""
    add_run_argument(parser)
    parser.add_argument(
        "--acknowledge", metavar="TEXT", help="why a run that was paused, or stopped by a kill threshold, may go on"
    )
    parser.add_argument("--detach", action="store_true", help="return once the run is proved to train")


def run(options: argparse.Namespace) -> int:
    """Resume and wait."""
    ending = resume(
        run_of(options), acknowledge=options.acknowledge, detach=options.detach, progress=progress_of(options)
    )
    code = report_ending(ending)
    next_steps(ending.status, options)
    return code
