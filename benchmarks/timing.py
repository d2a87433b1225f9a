"""Fair timing on a noisy machine: cases take turns in one process, and only ratios of neighbours are reported."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float
    repetitions: int

    def __str__(self) -> str:
        return f"{self.median:.3f}  [{self.low:.3f}, {self.high:.3f}]  n={self.repetitions}"


def interleaved(
    cases: Mapping[str, Callable[[], object]], *, repetitions: int, calls: int = 1, lead: int = 0
) -> dict[str, list[float]]:
    """Time every case in every repetition, so that a slow minute hits all of them.

    Args:
        cases: what to time, by name; the order turns around with each repetition.
        repetitions: how often.
        calls: calls of a case that are timed together.
        lead: calls of a case before them that are not timed, for caches and queues.

    Returns:
        seconds per call, by case.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for repetition in range(repetitions):
        for name in list(cases)[:: 1 if repetition % 2 else -1]:
            seconds[name].append(_time(cases[name], calls=calls, lead=lead))
    return seconds


def ratio(above: Sequence[float], below: Sequence[float], *, seed: int = 0) -> Ratio:
    """The median of above / below over repetitions.

    The interval is the percentile bootstrap over repetitions (Efron, 1979), with random numbers from the seed.
    """
    pairs = np.asarray(above) / np.asarray(below)
    picks = np.random.default_rng(seed).integers(0, len(pairs), (_RESAMPLES, len(pairs)))
    low, high = np.quantile(np.median(pairs[picks], axis=1), (0.025, 0.975))
    return Ratio(statistics.median(pairs.tolist()), float(low), float(high), len(pairs))


def _time(case: Callable[[], object], *, calls: int, lead: int) -> float:
    for _ in range(lead):
        case()
    began = time.perf_counter()
    for _ in range(calls):
        case()
    return (time.perf_counter() - began) / calls
