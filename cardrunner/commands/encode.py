"""``cardrunner encode``: recordings → one encoded data file, here or on the volume of a card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import load_card
from cardrunner.card.platforms import platform_of
from cardrunner.contracts import Archive, Progress, RemoteExecutor
from cardrunner.errors import UsageError
from cardrunner.tracking.progress import make_progress

NAME = "encode"
HELP = "turn recordings into one encoded data file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="PATH", help="recordings, or folders of them")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.pt", help="the file to make")
    parser.add_argument("--drop-rollback", action="store_true", help="keep the last of rows that were sent twice")
    parser.add_argument(
        "--card", type=Path, metavar="CARD", help="encode on the card's platform: all paths are on its volume"
    )
    parser.add_argument(
        "--part-size",
        type=int,
        default=500,
        metavar="N",
        help="with --card: recordings of one container (500)",
    )


def run(args: argparse.Namespace) -> int:
    """Encode and report on every recording: 0 if at least one was encoded."""
    progress = make_progress(args.quiet)
    *skipped, summary = _there(args, progress) if args.card is not None else _here(args, progress)
    for line in skipped:
        print(line, file=sys.stderr)
    print(summary)
    return 0


def _here(args: argparse.Namespace, progress: Progress) -> Sequence[str]:
    encode = registry.tool(NAME)
    report = encode(args.inputs, args.output, drop_rollback=args.drop_rollback, progress=progress)
    lines: Sequence[str] = report.lines()
    return lines


def _there(args: argparse.Namespace, progress: Progress) -> Sequence[str]:
    """Encode on the card's platform, spread over its machines.

    Raises:
        UsageError: the card runs here, or a path is not on its volume.
    """
    card = load_card(args.card, registry.workload_spec).card
    executor = registry.executor(platform_of(card.infra).executor_of(card.infra))
    if not isinstance(executor, RemoteExecutor):
        raise UsageError(f"{args.card}: the card runs on this machine; leave --card out")
    for path in (*args.inputs, args.output):
        if not path.is_absolute() or ".." in path.parts:
            raise UsageError(
                f"{path}: with --card every path is on the volume; write it from its root, such as /recordings"
            )
    if args.part_size < 1:
        raise UsageError(f"--part-size {args.part_size}: a part has at least one recording")
    archive = Archive(
        places=tuple(str(path) for path in args.inputs),
        output=str(args.output),
        part_size=args.part_size,
        drop_rollback=args.drop_rollback,
    )
    return executor.encode(card, archive, progress=progress)
