"""A section of the results card: which epochs took longest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cardrunner.report.recorded import RecordedRun

MOST = 2
heading = "Slowest epochs"
after = "Curves"
template = """
{% for epoch, seconds in facts %}
- epoch {{ epoch }} took {{ "%.3f"|format(seconds) }} s
{% else %}
No epoch was trained.
{% endfor %}
"""


def facts(run: RecordedRun) -> Sequence[tuple[int, float]]:
    """Epochs with the seconds between their validations, the slowest first."""
    ends = [(0, 0.0), *((row.epoch, row.clock.seconds) for row in run.validation_rows)]
    times = [(epoch, seconds - before) for (_, before), (epoch, seconds) in pairwise(ends)]
    return sorted(times, key=lambda pair: -pair[1])[:MOST]
