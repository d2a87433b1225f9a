"""`cardrunner workloads`: what can be trained here, and with which metrics."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from cardrunner import registry
from cardrunner.registry import WorkloadRow
from cardrunner.specs import MetricSpec

HELP = "list the workloads that are installed, with their metrics"
_BETTER = {"min": "lower is better", "max": "higher is better"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether scripts read the answer."""
    parser.add_argument("--json", action="store_true", help="a list of objects: name, package, version, metrics, fault")


def run(options: argparse.Namespace) -> int:
    """Print a block for each; one that cannot be used says why."""
    rows = list(registry.workload_rows())
    if options.json:
        print(json.dumps([_as_json(row) for row in rows], indent=2, ensure_ascii=False))
    else:
        print("\n".join(line for row in rows for line in _lines(row)))
    return 0


def _lines(row: WorkloadRow) -> Iterator[str]:
    yield f"{row.name}: {row.package} {row.version}"
    if row.fault is not None:
        yield f"  {row.fault}"
    metrics = row.spec.metrics if row.spec else ()
    longest = max((len(_name(metric)) for metric in metrics), default=0)
    for metric in metrics:
        yield f"  {_name(metric):{longest}}  {_BETTER[metric.direction]:16}  {metric.unit}"


def _name(metric: MetricSpec) -> str:
    """As a card writes it."""
    return f"val_{metric.name}"


def _as_json(row: WorkloadRow) -> dict[str, Any]:
    metrics = [
        {"name": _name(metric), "direction": metric.direction, "unit": metric.unit, "meaning": metric.meaning}
        for metric in (row.spec.metrics if row.spec else ())
    ]
    return {"name": row.name, "package": row.package, "version": row.version, "metrics": metrics, "fault": row.fault}
