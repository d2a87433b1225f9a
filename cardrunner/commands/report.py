"""``cardrunner report``: the results card of a run, rendered again."""

from __future__ import annotations

import argparse

from cardrunner.commands.run_arguments import add_run_argument, progress_of, run_to_read
from cardrunner.launching.finish import report

HELP = "render the results card of a run again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    add_run_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Render the page and print where it is."""
    print(report(run_to_read(options), progress=progress_of(options)))
    return 0
