"""Single figures of play, both players together; all can be measured on any recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.workloads.melee.encoding.layout import BUTTONS, CONTROLLER, STICKS
from cardrunner.workloads.melee.game.names import ACTION_IDS, ACTIONS
from cardrunner.workloads.melee.likeness.stretch import Mask, Play, PlayStretch, actions_between, frames_of

STICK_PLACES: Final = 17
"""Places of a stick axis, the middle one around neutral."""
DISTANCE_STEP: Final = 10
DISTANCE_PLACES: Final = 20
"""0 to 200 game units; the last place includes everything beyond."""

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
    """Frames with the players at each distance: (20,)."""
    return _counted((stretch.distances // DISTANCE_STEP for stretch in play), DISTANCE_PLACES)


@dataclass(frozen=True)
class Distribution:
    """A distribution that two plays are compared by."""

    name: str
    of: Callable[[Play], Counts]
    meaning: str


DISTRIBUTIONS: Final = (
    Distribution("actions", action_counts, "how much of the time each of the 400 action states takes"),
    Distribution("main stick", stick_counts, "how often the main stick is at each place of a grid of 17 by 17"),
    Distribution("buttons", button_counts, "how often each combination of the eight buttons is held"),
    Distribution("distances", distance_counts, "how far the players are apart, in steps of 10 game units"),
)
"""The first one decides the answer."""


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


def _stick_place(stretch: PlayStretch, name: str) -> Counts:
    values = np.clip(stretch.controls[:, :, CONTROLLER.index(name)], 0, 1)
    return np.rint(values * (STICK_PLACES - 1)).astype(np.int64)


def _counted(parts: Iterable[NDArray[np.generic]], places: int) -> Counts:
    """How often each place occurs; values beyond the last count as the last."""
    total = np.zeros(places, np.int64)
    for part in parts:
        total += np.bincount(np.clip(part.astype(np.int64).ravel(), 0, places - 1), minlength=places)
    return total


FRAMES_PER_MINUTE: Final = 3600

_HITSTUN = actions_between("DAMAGE_HI_1", "DAMAGE_FLY_ROLL")
_SHIELD = actions_between("GUARD_ON", "GUARD_REFLECT")
_GRABS = [ACTION_IDS["CATCH"], ACTION_IDS["CATCH_DASH"]]
_GOING_ON = [ACTION_IDS["ATTACK_100_LOOP"], ACTION_IDS["ATTACK_100_END"]]
_ATTACKS = np.setdiff1d([*actions_between("ATTACK_11", "ATTACK_AIR_LW"), *_GRABS], _GOING_ON)


@dataclass(frozen=True)
class Measure:
    """One figure of a play.

    Attributes:
        of: measures it; None if the play has nothing to measure it on.
    """

    name: str
    unit: str
    percent: bool
    meaning: str
    of: Callable[[Play], float | None]


def _share(which: Callable[[PlayStretch], Mask]) -> Callable[[Play], float | None]:
    """Share of player-frames for which something holds: (n, 2) of each stretch."""

    def measure(play: Play) -> float | None:
        found = [which(stretch) for stretch in play]
        total = sum(each.size for each in found)
        return float(sum(each.sum() for each in found) / total) if total else None

    return measure


def _rate(count: Callable[[PlayStretch], int], *, players: int) -> Callable[[Play], float | None]:
    """Events per minute, per player or for the whole match."""

    def measure(play: Play) -> float | None:
        minutes = frames_of(play) * players / FRAMES_PER_MINUTE
        return sum(count(stretch) for stretch in play) / minutes if minutes else None

    return measure


def _changed(stretch: PlayStretch) -> Mask:
    changed: Mask = (np.diff(stretch.steps, axis=0) != 0).any(axis=2)
    return changed


def _sticks_moved(stretch: PlayStretch) -> Mask:
    moved: Mask = (np.diff(stretch.steps[:, :, : len(STICKS)], axis=0) != 0).any(axis=2)
    return moved


def _a_button(stretch: PlayStretch) -> Mask:
    held: Mask = stretch.held.sum(axis=2) > 0
    return held


def _hitstun(stretch: PlayStretch) -> Mask:
    return np.isin(stretch.action, _HITSTUN)


def _shield(stretch: PlayStretch) -> Mask:
    return np.isin(stretch.action, _SHIELD)


def _off_stage(stretch: PlayStretch) -> Mask:
    return stretch.off_stage


def _presses(stretch: PlayStretch) -> int:
    held = stretch.held
    return int((held[1:] & ~held[:-1]).sum())


def _attacks(stretch: PlayStretch) -> int:
    begun = stretch.action[1:] != stretch.action[:-1]
    return int((begun & np.isin(stretch.action[1:], _ATTACKS)).sum())


def _knock_outs(stretch: PlayStretch) -> int:
    return int((np.diff(stretch.stocks, axis=0) < 0).sum())


def _usual_distance(play: Play) -> float | None:
    found = [stretch.distances for stretch in play]
    return float(np.median(np.concatenate(found))) if any(map(len, found)) else None


_FRAMES, _EACH = "share of frames", "a minute and player"

MEASURES: Final = (
    Measure(
        "input changes",
        _FRAMES,
        True,
        "anything on the controller differs from the frame before, in the steps that a controller has",
        _share(_changed),
    ),
    Measure("stick moves", _FRAMES, True, "the same for the two sticks alone", _share(_sticks_moved)),
    Measure("button presses", _EACH, False, "buttons that go down", _rate(_presses, players=2)),
    Measure("a button held", _FRAMES, True, "at least one of the eight is down", _share(_a_button)),
    Measure(
        "attacks",
        _EACH,
        False,
        "normal attacks and grabs begun; special moves cannot be told from a character's other own actions",
        _rate(_attacks, players=2),
    ),
    Measure("KOs", "a minute", False, "stocks lost by either player", _rate(_knock_outs, players=1)),
    Measure("hitstun", _FRAMES, True, "in an action of being hit, DAMAGE_HI_1 to DAMAGE_FLY_ROLL", _share(_hitstun)),
    Measure("shield", _FRAMES, True, "in an action of shielding, GUARD_ON to GUARD_REFLECT", _share(_shield)),
    Measure("off stage", _FRAMES, True, "in play beyond an edge of the main ground", _share(_off_stage)),
    Measure("distance", "game units, median", False, "between the players while both are in play", _usual_distance),
)
"""In display order."""
