"""``cardrunner encode``: recorded replays → one encoded data file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cardrunner import registry
from cardrunner.tracking.progress import make_progress

NAME = "encode"
HELP = "turn replays into one encoded data file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="REPLAY_OR_FOLDER", help="replays, or folders of them")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.pt", help="the file to make")
    parser.add_argument("--drop-rollback", action="store_true", help="keep the last row of each frame only")


def run(args: argparse.Namespace) -> int:
    """Encode and say what became of every replay: 0 when at least one was encoded."""
    encode = registry.tool(NAME)
    report = encode(args.inputs, args.output, drop_rollback=args.drop_rollback, progress=make_progress(args.quiet))
    *skipped, summary = report.lines()
    for line in skipped:
        print(line, file=sys.stderr)
    print(summary)
    return 0
