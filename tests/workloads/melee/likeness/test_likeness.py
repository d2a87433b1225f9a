from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from cardrunner.workloads.melee.arena.agents import RandomAgent
from cardrunner.workloads.melee.arena.match_columns import read_match
from cardrunner.workloads.melee.encoding.encoded_data import open_data
from cardrunner.workloads.melee.encoding.layout import BUTTONS, CONTROLLER, NEUTRAL_CONTROL
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.names import ACTION_IDS
from cardrunner.workloads.melee.game.world import Frame
from cardrunner.workloads.melee.likeness.comparison import LEAST_FRAMES, compare
from cardrunner.workloads.melee.likeness.measures import (
    DISTRIBUTIONS,
    MEASURES,
    action_counts,
    axis_counts,
    button_counts,
    distance_counts,
    jensen_shannon,
)
from cardrunner.workloads.melee.likeness.stretch import (
    Play,
    PlayStretch,
    Samples,
    cut,
    encoded_stretch,
    frames_of,
    halves,
    played_stretch,
)
from cardrunner.workloads.melee.simulator.simulator import play_scripted

ENCODING = EncodingConfig()
WritePlayed = Callable[..., list[Frame]]
COUNTS = arrays(np.int64, 12, elements=st.integers(0, 1000)).filter(lambda counts: counts.sum() > 0)


def still(frames: int, **changes: Any) -> PlayStretch:
    """Two players who stand apart and do nothing."""
    stretch = PlayStretch(
        action=np.full((frames, 2), ACTION_IDS["WAIT"]),
        controls=np.tile(np.array(NEUTRAL_CONTROL, np.float32), (frames, 2, 1)),
        x=np.tile(np.array([-20, 20], np.float32), (frames, 1)),
        y=np.zeros((frames, 2), np.float32),
        stocks=np.full((frames, 2), 4.0, np.float32),
        ground=(-68.0, 68.0),
    )
    for name, (rows, player, value) in changes.items():
        if name in CONTROLLER:
            stretch.controls[rows, player, CONTROLLER.index(name)] = value
        else:
            getattr(stretch, name)[rows, player] = value
    return stretch


def measured(*play: PlayStretch) -> dict[str, float | None]:
    return {measure.name: measure.of(play) for measure in MEASURES}


# ---------------------------------------------------------------- divergence


@given(COUNTS, COUNTS)
def test_the_divergence_is_symmetric_and_between_0_and_1(first: Any, second: Any) -> None:
    found = jensen_shannon(first, second)
    assert 0 <= found <= 1
    assert found == pytest.approx(jensen_shannon(second, first))


@given(COUNTS, st.integers(1, 9))
def test_the_same_shares_are_nothing_apart(counts: Any, times: int) -> None:
    assert jensen_shannon(counts, counts * times) == pytest.approx(0, abs=1e-12)


def test_nothing_in_common_is_one_bit_apart() -> None:
    assert jensen_shannon(np.array([3, 1, 0, 0]), np.array([0, 0, 9, 2])) == pytest.approx(1)


def test_half_in_common_is_what_the_formula_says() -> None:
    # p = (1, 0), q = (1/2, 1/2), mixture (3/4, 1/4)
    expected = (np.log2(4 / 3) + 0.5 * np.log2(2 / 3) + 0.5 * np.log2(2)) / 2
    assert jensen_shannon(np.array([5, 0]), np.array([7, 7])) == pytest.approx(expected)


def test_no_counts_have_no_shares() -> None:
    with pytest.raises(ValueError, match="no shares"):
        jensen_shannon(np.zeros(3, np.int64), np.ones(3, np.int64))


# ---------------------------------------------------------------- measures


def test_hands_in_the_lap_measure_nothing() -> None:
    found = measured(still(3600))
    assert found.pop("distance") == 40
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"main_x": (slice(10, 11), 0, 1.0)}, "input changes", 2 / (2 * 3599)),
        ({"main_x": (slice(10, 11), 0, 0.5 + 1e-4)}, "input changes", 0.0),
        ({"A": (slice(10, 30), 0, 1.0)}, "stick moves", 0.0),
        ({"A": (slice(10, 30), 0, 1.0)}, "input changes", 2 / (2 * 3599)),
        ({"A": (slice(10, 30), 0, 1.0), "B": (slice(10, 30), 0, 1.0)}, "button presses", 1.0),
        ({"A": (slice(0, 1800), 1, 1.0)}, "a button held", 0.25),
        ({"action": (slice(5, 25), 0, ACTION_IDS["ATTACK_AIR_F"])}, "attacks", 0.5),
        ({"action": (slice(5, 25), 0, ACTION_IDS["CATCH"])}, "attacks", 0.5),
        ({"action": (slice(5, 25), 0, ACTION_IDS["LANDING_AIR_F"])}, "attacks", 0.0),
        ({"action": (slice(5, 25), 0, ACTION_IDS["ATTACK_100_LOOP"])}, "attacks", 0.0),
        ({"action": (slice(0, 360), 1, ACTION_IDS["DAMAGE_FLY_TOP"])}, "hitstun", 0.05),
        ({"action": (slice(0, 360), 1, ACTION_IDS["GUARD"])}, "shield", 0.05),
        ({"stocks": (slice(100, None), 1, 3)}, "KOs", 1.0),
        ({"x": (slice(0, 720), 0, -70.0)}, "off stage", 0.1),
        ({"x": (slice(0, None), 0, 20.0), "y": (slice(0, None), 0, 9.0)}, "distance", 9.0),
    ],
)
def test_a_measure_is_what_it_says(changes: dict[str, Any], name: str, expected: float) -> None:
    assert measured(still(3600, **changes))[name] == pytest.approx(expected)


def test_who_is_knocked_out_is_neither_off_stage_nor_at_a_distance() -> None:
    out = still(100, action=(slice(0, 60), 0, ACTION_IDS["DEAD_DOWN"]), x=(slice(0, 60), 0, -250.0))
    assert measured(out)["off stage"] == 0
    assert measured(out)["distance"] == 40
    assert distance_counts((out,)).sum() == 40
    nobody = still(10, action=(slice(None), slice(None), ACTION_IDS["REBIRTH"]))
    assert measured(nobody)["distance"] is None


def test_nothing_happens_between_two_stretches() -> None:
    one = still(50, stocks=(slice(None), 0, 4.0))
    other = still(50, stocks=(slice(None), 0, 1.0), A=(slice(None), 0, 1.0))
    found = measured(one, other)
    assert (found["KOs"], found["button presses"], found["input changes"]) == (0, 0, 0)


def test_no_play_has_no_figures() -> None:
    assert set(measured().values()) == {None}
    assert set(measured(still(0)).values()) == {None}


def test_histograms_count_every_player_frame() -> None:
    play = (still(60, A=(slice(0, 30), 0, 1.0), R=(slice(0, 30), 0, 1.0), main_x=(slice(0, 15), 1, 1.0)), still(40))
    assert [int(each.of(play).sum()) for each in DISTRIBUTIONS] == [200, 200, 200, 100]
    assert action_counts(play)[ACTION_IDS["WAIT"]] == 200
    assert button_counts(play)[2 ** BUTTONS.index("A") + 2 ** BUTTONS.index("R")] == 30
    assert axis_counts(play, "main_x").tolist() == [0] * 8 + [185] + [0] * 7 + [15]
    assert distance_counts(play).tolist() == [0] * 4 + [100] + [0] * 15


# ---------------------------------------------------------------- where play comes from


def test_a_match_file_is_measured_like_the_rows_it_came_from(write_played: WritePlayed, tmp_path: Path) -> None:
    floats, ints = play_scripted(130, seed="1")
    agents = (RandomAgent(0), RandomAgent(1))
    frames = write_played(tmp_path / "match.json", agents, floats[:10], ints[:10], 200)[10:]
    read = played_stretch(read_match(tmp_path / "match.json"))
    rows = encoded_stretch(np.stack([f.floats for f in frames]), np.stack([f.ints for f in frames]), ENCODING)
    assert len(read) == len(rows) == 200
    assert read.action.tolist() == rows.action.tolist()
    assert read.stocks.tolist() == rows.stocks.tolist()
    assert read.x == pytest.approx(rows.x, abs=1e-3)
    assert read.controls == pytest.approx(rows.controls, abs=1e-3)
    assert read.ground == pytest.approx(rows.ground)


def test_encoded_rows_are_measured_in_game_units() -> None:
    floats, ints = play_scripted(130, seed="1")
    stretch = encoded_stretch(floats, ints, ENCODING)
    assert len(stretch) == 130
    assert stretch.x[0] == pytest.approx(floats[0, [1, 29]] * 20)
    assert set(np.unique(stretch.stocks)) <= {0, 1, 2, 3, 4}


def test_the_halves_share_no_frame_and_leave_the_beginning_out() -> None:
    games = {game: play_scripted(150, seed=str(game)) for game in range(3)}
    for number, (floats, _) in enumerate(games.values()):
        floats[:, 15] = number  # player 0's main stick: which game it is
        floats[:, 16] = np.arange(150)
    one, other = halves(games.__getitem__, range(3), skip=30, window=20, most=100, encoding=ENCODING)

    def rows(play: Play) -> list[tuple[int, int]]:
        return [(int(game), int(row)) for stretch in play for game, row in stretch.controls[:, 0, :2]]

    assert frames_of(one) == frames_of(other) == 100
    assert not set(rows(one)) & set(rows(other))
    assert min(row for _, row in rows(one) + rows(other)) == 30
    assert {game for game, _ in rows(one)} == {game for game, _ in rows(other)} == {0, 1, 2}
    assert all(np.diff(stretch.controls[:, 0, 1]).tolist() == [1] * (len(stretch) - 1) for stretch in one)


def test_play_is_cut_to_so_many_frames() -> None:
    play = (still(30), still(30))
    assert [len(stretch) for stretch in cut(play, 45)] == [30, 15]
    assert cut(play, 0) == ()
    assert frames_of(cut(play, 1000)) == 60


# ---------------------------------------------------------------- the exhibit


def samples(agents: PlayStretch, *, frames: int = LEAST_FRAMES, are_people: bool = True) -> Samples:
    busy = slice(0, frames // 2)
    people = still(frames, action=(busy, 0, 20), main_x=(busy, 0, 1.0))
    chance = still(frames, action=(slice(None), 0, 60), main_x=(slice(0, None, 2), 0, 0.0))
    return Samples.of((people,), (people,), (agents,), (chance,), are_people=are_people)


@pytest.mark.parametrize(
    ("busy", "sentence"),
    [
        (600, "the agents are as close to people as people are to one another."),
        (300, "% of the way from people to random inputs."),
    ],
)
def test_the_answer_says_where_the_agents_stand(busy: int, sentence: str) -> None:
    shown = compare(samples(still(LEAST_FRAMES, action=(slice(0, busy), 0, 20))))
    assert shown.sentences[0].endswith(sentence)
    assert shown.columns == ("people", "people, other half", "agents", "random inputs")
    assert shown.readings[0].values[:2] == (None, 0.0)


def test_agents_worse_than_chance_are_called_that() -> None:
    agents = still(LEAST_FRAMES, action=(slice(None), slice(None), 300))
    assert compare(samples(agents)).sentences[0].endswith("the agents are further from people than random inputs are.")


def test_a_measure_that_cannot_tell_says_so() -> None:
    same = (still(LEAST_FRAMES),)
    shown = compare(Samples.of(same, same, same, same, are_people=True))
    assert "this measure cannot tell people from random inputs here" in shown.sentences[0]
    assert shown.sentences[1].startswith("On 0 of 10 single measures")


def test_made_up_games_are_never_called_people() -> None:
    shown = compare(samples(still(LEAST_FRAMES), are_people=False))
    assert "people" not in shown.sentences[0]
    assert shown.sentences[2].startswith("These are not people: the validation games are made up")
    assert shown.columns[0] == "scripted players"


def test_too_few_frames_give_one_sentence_and_no_figures() -> None:
    shown = compare(samples(still(LEAST_FRAMES - 1)))
    assert shown.sentences[0].startswith(f"This cannot be answered from {LEAST_FRAMES - 1} frames")
    assert (shown.readings, shown.charts) == ((), ())


def random_play(frames: int, floats: Any, ints: Any, write: WritePlayed, path: Path) -> Play:
    played: list[PlayStretch] = []
    while (missing := frames - frames_of(tuple(played))) > 0:
        first = 2 * len(played)
        write(path, (RandomAgent(first), RandomAgent(first + 1)), floats, ints, missing)
        played.append(played_stretch(read_match(path)))
    return tuple(played)


def test_real_people_are_close_to_people_and_random_inputs_are_not(
    real_data: Path, write_played: WritePlayed, tmp_path: Path
) -> None:
    data = open_data([real_data / "encoded-real-32.pt"])

    def rows(game: int) -> tuple[Any, Any]:
        floats, ints = data.game(game)
        return floats.numpy(), ints.numpy()

    half, other = halves(rows, range(28, 32), skip=123, window=300, most=3600, encoding=ENCODING)
    others, _ = halves(rows, range(20, 28), skip=123, window=300, most=3600, encoding=ENCODING)
    floats, ints = (part[113:123].copy() for part in rows(28))
    chance = random_play(3600, floats, ints, write_played, tmp_path / "match.json")
    shown = compare(Samples.of(half, other, others, chance, are_people=True))
    apart = {reading.name: reading.values for reading in shown.readings}
    for name, largest, least in (("actions", 0.2, 0.4), ("main stick", 0.1, 0.6), ("buttons", 0.05, 0.15)):
        _, halves_apart, others_apart, chance_apart = apart[f"{name} apart"]
        assert halves_apart is not None
        assert others_apart is not None
        assert chance_apart is not None
        assert halves_apart < largest
        assert chance_apart > least
        assert others_apart < chance_apart / 2  # other people, other characters: much nearer than flailing
