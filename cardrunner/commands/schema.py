"""`cardrunner schema`: the JSON Schema of cards, for editors."""

from __future__ import annotations

import argparse

from cardrunner import registry
from cardrunner.card.json_schema import schema_text

HELP = "print the JSON Schema of cards, for editors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which workloads to describe."""
    parser.add_argument(
        "--workload", metavar="NAME", help="only the cards of this workload; all installed ones without it"
    )


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    names = (options.workload,) if options.workload else registry.workload_names()
    specs = [registry.workload_spec(name) for name in names]
    print(schema_text(specs), end="")
    return 0
