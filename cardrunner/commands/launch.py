"""`cardrunner launch`: gate, then the run."""

from __future__ import annotations

import argparse
from pathlib import Path

from cardrunner.commands.run_arguments import add_runs_argument, next_steps, progress_of, report_ending
from cardrunner.launching.launch import LaunchOptions, admit, launch, prepare
from cardrunner.plan import describe

HELP = "run a card once its gate is open"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The card and how to run it. No option changes the signed content."""
    parser.add_argument("card", type=Path, metavar="CARD", help="the card, such as runcards/quickstart.yaml")
    parser.add_argument(
        "--executor",
        metavar="NAME",
        help="one of the card's platform; for a local card: inline (this process) or local",
    )
    parser.add_argument("--detach", action="store_true", help="return once the run is proved to train")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and what blocks the launch, then exit")
    parser.add_argument("--run-name", metavar="NAME", help="another name, for a card with `repeat: true`")
    add_runs_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Launch the card and wait for the end, or for the start proof; the exit code."""
    chosen = LaunchOptions(
        executor=options.executor, detach=options.detach, run_name=options.run_name, runs=options.runs
    )
    if options.dry_run:
        return _dry_run(options.card, chosen)
    ending = launch(options.card, chosen, progress=progress_of(options))
    code = report_ending(ending)
    next_steps(ending.status, options)
    return code


def _dry_run(card: Path, options: LaunchOptions) -> int:
    planned = prepare(card, options)
    print("\n".join(describe(planned.plan)))
    admit(planned, options)
    return 0
