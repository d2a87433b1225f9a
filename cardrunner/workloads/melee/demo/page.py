"""A demo's exhibits beside its match: the recorded game from the same start, random inputs, the page, a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cardrunner.contracts import Exhibit
from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.arena.match_columns import MatchColumns, read_match
from cardrunner.workloads.melee.arena.match_json import MatchMeta, write_seed_only
from cardrunner.workloads.melee.encoding.encoded_data import EncodedData
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.world import Floats, Ints
from cardrunner.workloads.melee.likeness.comparison import compare, without_random
from cardrunner.workloads.melee.likeness.stretch import Play, Samples, cut, frames_of, halves, played_stretch
from cardrunner.workloads.melee.viewer.page import PAGE_NAME, pack_match, write_page

RECORDED_NAME: Final = "recorded.json"
RANDOM_NAME: Final = "random.json"
_WINDOW: Final = 300
_MOST_FRAMES: Final = 20_000

WriteRandom = Callable[[Path, int, int], object]
"""Writes a match of random inputs in the same world from the same start: file, number of the match, most frames.

Raises:
    IntegrityError: the world explodes under them.
"""


@dataclass(frozen=True, kw_only=True)
class RecordedPlay:
    """Recorded play that a match is compared with.

    Attributes:
        floats, ints: (n, 56) and (n, 17), the game that the match began with, from the match's first frame on.
        encoding: of the game.
        made_up: its players were scripts.
        data, games: the run's own games, and which of them validate.
        idle: frames at the beginning of a game before the players can move.
    """

    floats: Floats
    ints: Ints
    encoding: EncodingConfig
    made_up: bool
    data: EncodedData
    games: range
    idle: int

    @property
    def players(self) -> str:
        """Who played the game that the match began with."""
        return "scripted players" if self.made_up else "people"


def show_match(path: Path, recorded: RecordedPlay, write_random: WriteRandom) -> tuple[tuple[Path, ...], Exhibit]:
    """Make everything that accompanies a match file, in its folder.

    If the world explodes under random inputs, there is a page but no comparison.

    Returns:
        the files, the page first, and the comparison.

    Raises:
        EnvironmentFailed: the disk is full, read-only or failing.
        IntegrityError: the match file is incomplete.
    """
    page, real, chance = (path.with_name(name) for name in (PAGE_NAME, RECORDED_NAME, RANDOM_NAME))
    match = read_match(path)
    agents = cut([played_stretch(match)], _MOST_FRAMES)
    beside = {f"{recorded.players.capitalize()}, from the same start": real, "Random inputs": chance}
    _write_recorded(real, recorded, frames=len(match))
    try:
        random = _random_play(chance, write_random, frames_of(agents))
    except IntegrityError as error:
        del beside["Random inputs"]
        exhibit = without_random(str(error))
    else:
        half, other = _people(recorded, frames_of(agents))
        exhibit = compare(Samples.of(half, other, agents, random, are_people=not recorded.data.made_up))
    _write_page(page, match, beside)
    return (page, *beside.values()), exhibit


def _write_recorded(path: Path, recorded: RecordedPlay, *, frames: int) -> None:
    """Write the recorded continuation of the opening game as a match file of at most `frames` frames."""
    player = "script" if recorded.made_up else "person"
    meta = MatchMeta(
        model_name="recorded game",
        arch="none",
        context_len=0,
        p0_agent=player,
        p1_agent=player,
        mode="replay",
        seed_players=recorded.players,
    )
    write_seed_only(path, recorded.floats[:frames], recorded.ints[:frames], meta, recorded.encoding)


def _people(recorded: RecordedPlay, frames: int) -> tuple[Play, Play]:
    """Two halves of the validation games' play, each of at most `frames` frames."""

    def rows_of(game: int) -> tuple[Floats, Ints]:
        floats, ints = recorded.data.game(game)
        return floats.numpy(), ints.numpy()

    encoding = recorded.data.encoding
    return halves(rows_of, recorded.games, skip=recorded.idle, window=_WINDOW, most=frames, encoding=encoding)


def _random_play(path: Path, write_random: WriteRandom, frames: int) -> Play:
    """Random inputs for `frames` frames: the first match, which is kept, and more if it ends early."""
    write_random(path, 0, frames)
    played = [played_stretch(read_match(path))]
    with TemporaryDirectory() as folder:
        again = Path(folder) / path.name
        while len(played[-1]) and (missing := frames - frames_of(tuple(played))) > 0:
            write_random(again, len(played), missing)
            played.append(played_stretch(read_match(again)))
    return tuple(played)


def _write_page(path: Path, match: MatchColumns, others: dict[str, Path]) -> None:
    names = [str(match.meta["characters"][slot]["name"]) for slot in ("p0", "p1")]
    packed = [pack_match(match, label="Agents")]
    packed += [pack_match(read_match(other), label=label) for label, other in others.items()]
    write_page(path, packed, title=f"{' against '.join(names)}: a match to watch")
