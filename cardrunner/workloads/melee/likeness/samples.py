"""The compared plays: two halves of the recorded play, agents and random inputs, all of the same number of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cardrunner.workloads.melee.encoding.layout import PLAYERS
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.world import Floats, Ints
from cardrunner.workloads.melee.likeness.stretch import Play, PlayStretch, cut, encoded_stretch, frames_of


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Play over the same number of frames.

    Attributes:
        half, other_half: recorded play of the same games; they share no frame.
        are_people: False for made-up games, whose players are scripts.
    """

    half: Play
    other_half: Play
    agents: Play
    random: Play
    are_people: bool = True

    @classmethod
    def of(cls, half: Play, other_half: Play, agents: Play, random: Play, *, are_people: bool) -> Samples:
        """Samples as long as the shortest of the plays."""
        same = min(map(frames_of, (half, other_half, agents, random)))
        half, other_half, agents, random = (cut(play, same) for play in (half, other_half, agents, random))
        return cls(half=half, other_half=other_half, agents=agents, random=random, are_people=are_people)

    @property
    def frames(self) -> int:
        """Frames of each play."""
        return frames_of(self.half)

    @property
    def people(self) -> str:
        """The name of the recorded players."""
        return "people" if self.are_people else "scripted players"

    @property
    def columns(self) -> Mapping[str, Play]:
        """The plays by the names that readers see; recorded play first."""
        return {
            self.people: self.half,
            f"{self.people}, other half": self.other_half,
            "agents": self.agents,
            "random inputs": self.random,
        }


def halves(
    rows_of: Callable[[int], tuple[Floats, Ints]],
    games: Sequence[int],
    *,
    skip: int,
    window: int,
    most: int,
    encoding: EncodingConfig,
) -> tuple[Play, Play]:
    """Two samples of the same games that share no frame: windows of consecutive frames, taken in turn.

    Args:
        rows_of: floats (n, 56) and ints (n, 17) of a game.
        games: the numbers of the games.
        skip: unplayed frames at the beginning of each.
        window: frames of a window.
        most: frames of each sample at most; the windows are then spread evenly over the games.
        encoding: of the games.
    """
    starts = [(game, at) for game in games for at in range(skip, len(rows_of(game)[0]) - window + 1, window)]
    samples = []
    for side in PLAYERS:
        chosen = _spread(starts[side::2], -(-most // window))
        samples.append(cut((_window(*rows_of(game), slice(at, at + window), encoding) for game, at in chosen), most))
    return samples[0], samples[1]


def _window(floats: Floats, ints: Ints, rows: slice, encoding: EncodingConfig) -> PlayStretch:
    return encoded_stretch(floats[rows], ints[rows], encoding)


def _spread(items: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most `most` of the items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[number * len(items) // most] for number in range(most)]
