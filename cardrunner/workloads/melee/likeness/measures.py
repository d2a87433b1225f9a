"""Single figures of play, both players together. All can be read off a recording, whoever played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from cardrunner.workloads.melee.layout import STICKS
from cardrunner.workloads.melee.likeness.stretch import Mask, Play, Stretch, actions_between, frames_of
from cardrunner.workloads.melee.names import ACTION_IDS

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
        of: reads it off; None where the play has nothing to read it from.
    """

    name: str
    unit: str
    percent: bool
    meaning: str
    of: Callable[[Play], float | None]


def _share(which: Callable[[Stretch], Mask]) -> Callable[[Play], float | None]:
    """Share of player-frames for which something holds: (n, 2) of each stretch."""

    def measure(play: Play) -> float | None:
        found = [which(stretch) for stretch in play]
        total = sum(each.size for each in found)
        return float(sum(each.sum() for each in found) / total) if total else None

    return measure


def _rate(count: Callable[[Stretch], int], *, players: int) -> Callable[[Play], float | None]:
    """Happenings a minute, by one player or in the whole match."""

    def measure(play: Play) -> float | None:
        minutes = frames_of(play) * players / FRAMES_PER_MINUTE
        return sum(count(stretch) for stretch in play) / minutes if minutes else None

    return measure


def _changed(stretch: Stretch) -> Mask:
    changed: Mask = (np.diff(stretch.steps, axis=0) != 0).any(axis=2)
    return changed


def _sticks_moved(stretch: Stretch) -> Mask:
    moved: Mask = (np.diff(stretch.steps[:, :, : len(STICKS)], axis=0) != 0).any(axis=2)
    return moved


def _a_button(stretch: Stretch) -> Mask:
    held: Mask = stretch.held.sum(axis=2) > 0
    return held


def _hitstun(stretch: Stretch) -> Mask:
    return np.isin(stretch.action, _HITSTUN)


def _shield(stretch: Stretch) -> Mask:
    return np.isin(stretch.action, _SHIELD)


def _off_stage(stretch: Stretch) -> Mask:
    return stretch.off_stage


def _presses(stretch: Stretch) -> int:
    held = stretch.held
    return int((held[1:] & ~held[:-1]).sum())


def _attacks(stretch: Stretch) -> int:
    begun = stretch.action[1:] != stretch.action[:-1]
    return int((begun & np.isin(stretch.action[1:], _ATTACKS)).sum())


def _knock_outs(stretch: Stretch) -> int:
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
"""In the order in which people read them."""
