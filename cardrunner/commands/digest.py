"""`cardrunner digest`: what a sign-off signs."""

from __future__ import annotations

import argparse
from pathlib import Path

from cardrunner import registry
from cardrunner.card.load import load_card

HELP = "print the digest of a card, which is what a sign-off signs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One card."""
    parser.add_argument("card", type=Path, metavar="CARD", help="a card, such as runcards/policy-22k.yaml")


def run(options: argparse.Namespace) -> int:
    """Print the digest alone, for scripts."""
    print(load_card(options.card, registry.workload_spec).digest)
    return 0
