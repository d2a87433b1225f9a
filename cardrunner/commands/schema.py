"""`cardrunner schema`: the JSON Schema of cards, for editors."""

from __future__ import annotations

import argparse
import sys

from cardrunner import registry
from cardrunner.card.contracts import WorkloadSpec
from cardrunner.card.json_schema import schema_text
from cardrunner.errors import PluginFailed
from cardrunner.plugins import blamed, plugins

HELP = "print the JSON Schema of cards, for editors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which workloads to describe."""
    parser.add_argument(
        "--workload", metavar="NAME", help="only the cards of this workload; all installed ones without it"
    )


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    print(schema_text([registry.workload_spec(options.workload)] if options.workload else specs()), end="")
    return 0


def specs() -> list[WorkloadSpec]:
    """Every workload that is installed, less those of other packages that fail: these are named on stderr."""
    found = [registry.workload_spec(name) for name in registry.WORKLOADS]
    for plugin in plugins("workload"):
        if plugin.name in registry.WORKLOADS:
            continue
        try:
            spec = registry.workload_spec(plugin.name)
            with blamed(plugin, "cannot be described"):
                schema_text([spec])
            found.append(spec)
        except PluginFailed as failed:
            print(f"warning: left out of the schema: {failed}", file=sys.stderr)
    return found
