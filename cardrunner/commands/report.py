"""``cardrunner report``: the results card of a run, rendered again."""

from __future__ import annotations

import argparse
import sys

from cardrunner import registry
from cardrunner.commands.run_arguments import add_run_argument, run_to_read
from cardrunner.report import render_report

HELP = "render the results card of a run again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    add_run_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Render the page and print where it is."""
    page = render_report(run_to_read(options), resolve=registry.workload_spec, stages=registry.stages_of, warn=_warn)
    print(page)
    return 0


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
