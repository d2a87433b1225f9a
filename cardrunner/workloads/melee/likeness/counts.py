"""Histograms of play, both players together: int64 counts, one for each place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.workloads.melee.layout import BUTTONS, CONTROLLER
from cardrunner.workloads.melee.likeness.stretch import Play, Stretch
from cardrunner.workloads.melee.names import ACTIONS

STICK_PLACES: Final = 17
"""Places of a stick axis, the middle one around neutral."""
DISTANCE_STEP: Final = 10
DISTANCE_PLACES: Final = 20
"""0 to 200 game units, the last place with everything beyond."""

Counts = NDArray[np.int64]


def action_counts(play: Play) -> Counts:
    """Player-frames in each action: (400,)."""
    return _counted((stretch.action for stretch in play), ACTIONS)


def axis_counts(play: Play, name: str) -> Counts:
    """Player-frames with one stick axis at each of its places: (17,)."""
    return _counted((_stick_place(stretch, name) for stretch in play), STICK_PLACES)


def stick_counts(play: Play) -> Counts:
    """Player-frames with the main stick at each place of a grid: (17 * 17,)."""
    grids = (_stick_place(each, "main_x") * STICK_PLACES + _stick_place(each, "main_y") for each in play)
    return _counted(grids, STICK_PLACES**2)


def button_counts(play: Play) -> Counts:
    """Player-frames with each combination of buttons: (256,), the first button is the lowest bit."""
    bits = 1 << np.arange(len(BUTTONS))
    return _counted((stretch.held @ bits for stretch in play), 2 ** len(BUTTONS))


def distance_counts(play: Play) -> Counts:
    """Frames with the players so far apart: (20,)."""
    return _counted((stretch.distances // DISTANCE_STEP for stretch in play), DISTANCE_PLACES)


@dataclass(frozen=True)
class Distribution:
    """What two plays are compared by as a whole."""

    name: str
    of: Callable[[Play], Counts]
    meaning: str


DISTRIBUTIONS: Final = (
    Distribution("actions", action_counts, "how much of the time each of the 400 action states takes"),
    Distribution("main stick", stick_counts, "how often the main stick is at each place of a grid of 17 by 17"),
    Distribution("buttons", button_counts, "how often each combination of the eight buttons is held"),
    Distribution("distances", distance_counts, "how far the players are apart, in steps of 10 game units"),
)
"""The first one answers the question."""


def jensen_shannon(first: Counts, second: Counts) -> float:
    """Jensen-Shannon divergence of two histograms in bits: 0 for the same shares, 1 for nothing in common.

    Lin 1991, "Divergence measures based on the Shannon entropy": the mean Kullback-Leibler divergence of both to their
    mixture. Always finite, symmetric.

    Args:
        first, second: counts (k,), each with at least one.

    Raises:
        ValueError: a histogram without counts.
    """
    if not (first.sum() > 0 and second.sum() > 0):
        raise ValueError("a histogram without counts has no shares")
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    return float(np.clip((_relative(p, middle) + _relative(q, middle)) / 2, 0.0, 1.0))


def _relative(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Kullback-Leibler divergence in bits; q is positive wherever p is."""
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())


def _stick_place(stretch: Stretch, name: str) -> Counts:
    values = np.clip(stretch.controls[:, :, CONTROLLER.index(name)], 0, 1)
    return np.rint(values * (STICK_PLACES - 1)).astype(np.int64)


def _counted(parts: Iterable[NDArray[np.generic]], places: int) -> Counts:
    """How often each place occurs; what lies beyond the last counts there."""
    total = np.zeros(places, np.int64)
    for part in parts:
        total += np.bincount(np.clip(part.astype(np.int64).ravel(), 0, places - 1), minlength=places)
    return total
