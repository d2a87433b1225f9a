"""Does it play like people? Recorded play, agents and random inputs side by side, as an exhibit of the results card.

Two halves of the recorded play show what each measure gives for no difference, random inputs what it gives for
flailing; the agents are placed between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cardrunner.contracts import Chart, Exhibit, ExhibitRow, Series
from cardrunner.workloads.melee.encoding.layout import BUTTONS
from cardrunner.workloads.melee.game.names import action_words
from cardrunner.workloads.melee.likeness.measures import (
    DISTANCE_PLACES,
    DISTANCE_STEP,
    DISTRIBUTIONS,
    FRAMES_PER_MINUTE,
    MEASURES,
    STICK_PLACES,
    Counts,
    Distribution,
    Measure,
    action_counts,
    axis_counts,
    distance_counts,
    jensen_shannon,
)
from cardrunner.workloads.melee.likeness.stretch import Play, Samples, frames_of

LEAST_FRAMES: Final = 1200
"""Twenty seconds; with fewer frames chance dominates."""
TITLE: Final = "Does it play like people?"


def compare(samples: Samples) -> Exhibit:
    """The comparison; for too few frames only a sentence that says so."""
    if samples.frames < LEAST_FRAMES:
        return Exhibit(title=TITLE, sentences=(_too_little(samples),))
    apart = [_apart(each, samples.columns) for each in DISTRIBUTIONS]
    single = [_single(each, samples.columns) for each in MEASURES]
    return Exhibit(
        title=TITLE,
        sentences=(_answer(apart[0], samples), _nearer(single, samples), _basis(samples)),
        columns=tuple(samples.columns),
        readings=(*apart, *single),
        charts=charts_of(samples),
    )


def without_random(why: str) -> Exhibit:
    """The exhibit if random inputs could not be played, with the reason."""
    text = (
        f"This cannot be answered: random inputs, which the agents are compared with, could not be played here. {why}"
    )
    return Exhibit(title=TITLE, sentences=(text,))


def _too_little(samples: Samples) -> str:
    return (
        f"This cannot be answered from {samples.frames} frames: it takes at least {LEAST_FRAMES} frames of agents and, "
        "of recorded games, as many for each of two halves."
    )


# ---------------------------------------------------------------- the table


def _apart(distribution: Distribution, columns: Mapping[str, Play]) -> ExhibitRow:
    """The distance of each play from the first; None for the first itself, and where there is nothing to count."""
    first, *others = (distribution.of(play) for play in columns.values())
    values = [jensen_shannon(first, other) if first.any() and other.any() else None for other in others]
    what = "Jensen-Shannon divergence from the first column, 0 is the same and 1 nothing in common"
    meaning = f"{distribution.meaning}; {what}"
    return ExhibitRow(name=f"{distribution.name} apart", unit="bits", values=(None, *values), meaning=meaning)


def _single(measure: Measure, columns: Mapping[str, Play]) -> ExhibitRow:
    return ExhibitRow(
        name=measure.name,
        unit=measure.unit,
        percent=measure.percent,
        meaning=measure.meaning,
        values=tuple(measure.of(play) for play in columns.values()),
    )


# ---------------------------------------------------------------- the sentences


def _answer(actions: ExhibitRow, samples: Samples) -> str:
    _, halves, agents, chance = actions.values
    people = samples.people
    assert halves is not None  # every frame has an action
    assert agents is not None
    assert chance is not None
    figures = (
        f"By what they do, the agents are {agents:.2f} bits from {people} (0 is the same, 1 is nothing in common), "
        f"random inputs {chance:.2f}, and two halves of what {people} play {halves:.2f}"
    )
    if not chance > halves:
        return (
            f"{figures}: this measure cannot tell {people} from random inputs here, "
            "so it says nothing about the agents."
        )
    way = (agents - halves) / (chance - halves)
    if way > 1:
        return f"{figures}: the agents are further from {people} than random inputs are."
    if way <= 0:
        return f"{figures}: the agents are as close to {people} as {people} are to one another."
    return f"{figures}: the agents are {way:.0%} of the way from {people} to random inputs."


def _nearer(readings: Sequence[ExhibitRow], samples: Samples) -> str:
    """On how many measures the agents are nearer to the recorded players than random inputs are."""
    nearer = {reading.name: result for reading in readings if (result := _is_nearer(reading)) is not None}
    others = [name for name, result in nearer.items() if not result]
    rest = f"; not on {', '.join(others)}" if others else ""
    share = f"{len(nearer) - len(others)} of {len(nearer)}"
    return f"On {share} single measures the agents are nearer to the {samples.people} than random inputs are{rest}."


def _is_nearer(reading: ExhibitRow) -> bool | None:
    """Whether the agents' value is nearer to the mean of both halves; None if one of the four is missing."""
    half, other, agents, chance = reading.values
    if half is None or other is None or agents is None or chance is None:
        return None
    middle = (half + other) / 2
    return abs(agents - middle) < abs(chance - middle)


def _basis(samples: Samples) -> str:
    seconds = samples.frames * 60 / FRAMES_PER_MINUTE
    who = (
        "The people are those of the run's validation games"
        if samples.are_people
        else "These are not people: the validation games are made up, played by two scripts in the built-in simulator"
    )
    return (
        f"{who}; windows of their games go to the two halves in turn. Each column is {samples.frames:,} frames "
        f"({seconds:.0f} s) of both players. Random inputs played in the same world, from the same frames on."
    )


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
    """The most frequent actions of the recorded players or of the agents."""
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
