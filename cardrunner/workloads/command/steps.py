"""The training step of a checkpoint, where something tells it."""

from __future__ import annotations

import bisect
import json
import re
import time
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from statistics import median_low
from typing import Final, Literal

StepSource = Literal["trainer_state.json", "name", "content"]
"""What told a step."""
_TRAINER_STATE: Final = "trainer_state.json"
"""Hugging Face's Trainer writes it into its checkpoints."""
_NAMED: Final = (
    re.compile(r"(?<![A-Za-z])(?:global_?)?steps?[=_-]?(\d+)", re.IGNORECASE),
    re.compile(r"(?<![A-Za-z])iter(?:ation)?s?[=_-]?(\d+)", re.IGNORECASE),
    re.compile(r"^checkpoint-(\d+)$"),
)
"""A number alone may be an epoch, so a word must say what it counts; ``checkpoint-N`` is Hugging Face's."""


_LARGEST_JSON: Final = 1 << 20
_KEYS: Final = ("global_step", "step", "iteration", "iter_num")


def step_of(path: Path) -> tuple[int, StepSource] | None:
    """The step of a checkpoint by its `trainer_state.json`, its name or, for JSON, its content; None if none tells."""
    try:
        stated = json.loads((path / _TRAINER_STATE).read_bytes())["global_step"]
        return int(stated), _TRAINER_STATE
    except (OSError, ValueError, TypeError, KeyError):
        pass
    matches = (match for pattern in _NAMED if (match := pattern.search(path.name)) is not None)
    return next(((int(match[1]), "name") for match in matches), None) or _stated_in(path)


def _stated_in(path: Path) -> tuple[int, StepSource] | None:
    """The step that a JSON file states at its top."""
    try:
        if path.suffix != ".json" or path.stat().st_size > _LARGEST_JSON:
            return None
        found = json.loads(path.read_bytes())
        step = next(found[key] for key in _KEYS if key in found)
    except (OSError, ValueError, TypeError, RecursionError, StopIteration):
        return None
    return (step, "content") if isinstance(step, int) and not isinstance(step, bool) and step >= 0 else None


class ReportedSteps:
    """When the script had reported which step, so that a checkpoint can be told the newest one before it.

    Args:
        late: seconds that a report may be noted after it was written.
    """

    def __init__(self, late: float = 0.6) -> None:
        self._late = int(late * 1e9)
        self._noted: list[tuple[int, int]] = []

    def note(self, step: int, *, at: float | None = None) -> None:
        """Remember that a step has been reported; ignored for one that is no later than those before.

        Args:
            step: of the newest row.
            at: seconds since 1970; now when absent.
        """
        if step > (self._noted[-1][1] if self._noted else -1):
            self._noted.append((int((time.time() if at is None else at) * 1e9), step))

    def before(self, modified: int) -> int | None:
        """The newest step that was reported before a time in nanoseconds since 1970; None before the first."""
        found = bisect.bisect_right(self._noted, modified + self._late, key=itemgetter(0))
        return self._noted[found - 1][1] if found else None


def step_before(first: int, steps: Sequence[int]) -> int | None:
    """The step that a script resumed at: one cadence before the first row that it wrote then.

    Args:
        first: the step of that row.
        steps: the steps of earlier rows, in order.

    Returns:
        At least 0; None if there are too few rows to tell the cadence.
    """
    apart = [later - earlier for earlier, later in pairwise(steps) if later > earlier]
    return max(0, first - median_low(apart)) if apart else None
