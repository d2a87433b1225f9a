"""`cardrunner download`: a verified copy of a checkpoint."""

from __future__ import annotations

import argparse

from cardrunner.commands.run_arguments import add_run_argument, progress_of, run_to_read
from cardrunner.launching.finish import download

HELP = "copy a checkpoint to where the card says, verified"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run and the checkpoint."""
    add_run_argument(parser)
    parser.add_argument(
        "checkpoint",
        nargs="?",
        metavar="CHECKPOINT",
        help="best, latest or a file of the manifest; default: as the card says",
    )


def run(options: argparse.Namespace) -> int:
    """Copy, and print where to."""
    print(download(run_to_read(options), checkpoint=options.checkpoint, progress=progress_of(options)))
    return 0
