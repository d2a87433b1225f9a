"""`cardrunner finish`: what is left for this side after a detached run ended."""

from __future__ import annotations

import argparse

from cardrunner.commands.run_arguments import add_run_argument, progress_of, run_of, tell
from cardrunner.finish import finish_run

HELP = "download, demo and results card of a run that ended; safe to repeat"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    add_run_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Finish; ends with the run's own exit code."""
    return tell(finish_run(run_of(options), progress=progress_of(options)))
