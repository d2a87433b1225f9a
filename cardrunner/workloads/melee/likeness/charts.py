"""The plots of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.contracts import Chart, Series
from cardrunner.workloads.melee.action_words import action_words
from cardrunner.workloads.melee.layout import BUTTONS
from cardrunner.workloads.melee.likeness.counts import (
    DISTANCE_PLACES,
    DISTANCE_STEP,
    STICK_PLACES,
    Counts,
    action_counts,
    axis_counts,
    distance_counts,
)
from cardrunner.workloads.melee.likeness.samples import Samples
from cardrunner.workloads.melee.likeness.stretch import Play, frames_of

_MOST_ACTIONS: Final = 12
_MIDDLE = (STICK_PLACES - 1) // 2
_AXIS = tuple(f"{(place - _MIDDLE) / _MIDDLE:g}" for place in range(STICK_PLACES))
_DISTANCES = tuple(str(place * DISTANCE_STEP) for place in range(DISTANCE_PLACES))

Shares = Mapping[str, NDArray[np.float64]]


def charts_of(samples: Samples) -> tuple[Chart, ...]:
    """Actions, sticks, buttons and the distance of every sample."""
    plays = samples.columns.items()
    across = {name: _shares(axis_counts(play, "main_x")) for name, play in plays}
    up = {name: _shares(axis_counts(play, "main_y")) for name, play in plays}
    c_across = {name: _shares(axis_counts(play, "c_x")) for name, play in plays}
    c_up = {name: _shares(axis_counts(play, "c_y")) for name, play in plays}
    buttons = {name: _held(play) for name, play in plays}
    apart = {name: _shares(distance_counts(play)) for name, play in plays}
    return (
        _actions(samples),
        _steps("Main stick, left to right", _AXIS, across),
        _steps("Main stick, down to up", _AXIS, up),
        _steps("C-stick, left to right", _AXIS, c_across),
        _steps("C-stick, down to up", _AXIS, c_up),
        _bars("Buttons held", BUTTONS, buttons),
        _steps("Distance apart, game units", _DISTANCES, apart),
    )


def _actions(samples: Samples) -> Chart:
    """The actions that take most of the time, of the recorded players or of the agents."""
    shares = {name: _shares(action_counts(play)) for name, play in samples.columns.items()}
    recorded, other, agents, _ = shares.values()
    most = np.argsort(-np.maximum((recorded + other) / 2, agents), kind="stable")[:_MOST_ACTIONS].tolist()
    words = tuple(action_words(action) for action in most)
    return _bars("What takes most of the time", words, {name: share[most] for name, share in shares.items()})


def _shares(counts: Counts) -> NDArray[np.float64]:
    return counts / max(int(counts.sum()), 1)


def _held(play: Play) -> NDArray[np.float64]:
    """Share of player-frames in which each button is down: (8,)."""
    down: Counts = np.sum([stretch.held.sum(axis=(0, 1)) for stretch in play], axis=0)
    return down / (2 * frames_of(play))


def _bars(title: str, places: tuple[str, ...], shares: Shares) -> Chart:
    return Chart(title=title, unit="share of frames", kind="bars", places=places, series=_series(shares), percent=True)


def _steps(title: str, places: tuple[str, ...], shares: Shares) -> Chart:
    return Chart(title=title, unit="share of frames", kind="steps", places=places, series=_series(shares), percent=True)


def _series(shares: Shares) -> tuple[Series, ...]:
    return tuple(Series(name=name, values=tuple(map(float, values))) for name, values in shares.items())
