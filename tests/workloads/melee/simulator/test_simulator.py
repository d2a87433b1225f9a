from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from cardrunner.workloads.melee.encoding.layout import (
    FLOATS,
    INTS,
    NEUTRAL_CONTROL,
    PLAYERS,
    controller_slice,
    float_index,
    int_index,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.names import ACTION_IDS, action_name
from cardrunner.workloads.melee.game.stage_table import STAGES
from cardrunner.workloads.melee.game.world import Frame, possible_controls
from cardrunner.workloads.melee.simulator.simulator import Simulator
from cardrunner.workloads.melee.simulator.states import DEAD
from tests.examples import examples

Controls = NDArray[np.float32]
FOX, MARTH = 1, 18
BATTLEFIELD = 31


def pressed(**values: float) -> list[float]:
    """A controller at rest but for these."""
    names = ("main_x", "main_y", "c_x", "c_y", "shoulder", "A", "B", "X", "Y", "Z", "L", "R", "D_UP")
    return [values.get(name, neutral) for name, neutral in zip(names, NEUTRAL_CONTROL, strict=True)]


def both(first: list[float], second: list[float] | None = None) -> Controls:
    return np.array([first, second or list(NEUTRAL_CONTROL)], np.float32)


def play(simulator: Simulator, first: list[float], frames: int = 1) -> Frame:
    for _ in range(frames):
        frame = simulator.step(both(first))
    return frame


def value(frame: Frame, name: str, player: Any = 0) -> float:
    return float(frame.floats[float_index(name, player)])


def action(frame: Frame, player: Any = 0) -> str:
    return action_name(int(frame.ints[int_index("action", player)]))


# ------------------------------------------------------------ what always holds


def held_controls(dice: np.random.Generator, frames: int) -> Controls:
    """Wild inputs, each held for some frames; (frames, 2, 13), some outside what a controller gives."""
    wild = dice.uniform(-0.2, 1.2, (frames // 5 + 1, 2, 13))
    wild[..., 5:] = dice.random(wild[..., 5:].shape) < 0.15
    wild[dice.random(wild.shape) < 0.02] = np.nan
    return np.repeat(wild, 5, axis=0)[:frames].astype(np.float32)


@examples(25)
@given(seed=st.integers(0, 2**32 - 1), stage=st.sampled_from(sorted(STAGES)), cast=st.tuples(*[st.integers(0, 32)] * 2))
def test_every_frame_is_possible_whatever_is_pressed(seed: int, stage: int, cast: tuple[int, int]) -> None:
    simulator = Simulator(stage, cast, seed)
    frames = [simulator.step(controls) for controls in held_controls(np.random.default_rng(seed), 400)]
    floats, ints = np.stack([frame.floats for frame in frames]), np.stack([frame.ints for frame in frames])
    assert floats.shape == (400, FLOATS)
    assert ints.shape == (400, INTS)
    assert np.isfinite(floats).all()
    assert ((ints >= 0) & (ints < EncodingConfig().vocabularies)).all()
    blast, config = STAGES[stage].blast, EncodingConfig()
    for player in PLAYERS:
        column = {
            name: floats[:, float_index(name, player)] for name in ("x", "y", "percent", "shield", "stocks", "hitlag")
        }
        assert (np.abs(column["x"]) <= (max(-blast.left, blast.right) + 11) * config.xy_scale).all()
        assert (column["y"] >= (blast.bottom - 11) * config.xy_scale).all()
        assert (column["y"] <= (blast.top + 11) * config.xy_scale).all()
        assert (column["percent"] >= 0).all()
        assert (column["percent"] <= 9.99).all()
        assert (column["shield"] >= 0).all()
        assert (column["shield"] <= 0.6001).all()
        assert (np.diff(column["stocks"]) <= 0).all()
        assert (column["stocks"] >= 0).all()
        assert (column["hitlag"] >= 0).all()
        controls = floats[:, controller_slice(player)]
        assert ((controls >= 0) & (controls <= 1)).all()


@examples(10)
@given(seed=st.integers(0, 2**32 - 1))
def test_nobody_gets_under_the_stage(seed: int) -> None:
    simulator = Simulator(BATTLEFIELD, (FOX, MARTH), seed)
    for controls in held_controls(np.random.default_rng(seed), 400):
        simulator.step(controls)
        for fighter in simulator.fighters:
            assert fighter.action in DEAD or fighter.y >= 0 or abs(fighter.x) >= simulator.stage.half_width


def test_the_same_seed_and_controls_give_the_same_game() -> None:
    controls = held_controls(np.random.default_rng(3), 300)
    one, other = (Simulator(BATTLEFIELD, (FOX, MARTH), 7) for _ in range(2))
    for each in controls:
        left, right = one.step(each), other.step(each)
        assert np.array_equal(left.floats, right.floats)
        assert np.array_equal(left.ints, right.ints)


def test_the_controls_are_in_the_frame() -> None:
    controls = both(pressed(main_x=0.25, A=1.0), pressed(shoulder=0.5, Z=1.0))
    frame = Simulator(BATTLEFIELD, (FOX, MARTH)).step(controls)
    assert np.array_equal(frame.floats[15:28], controls[0])
    assert np.array_equal(frame.floats[43:56], controls[1])


def test_impossible_controls_become_possible() -> None:
    controls = np.full((2, 13), np.nan, np.float32)
    controls[1] = 7.0
    assert possible_controls(controls).tolist() == [list(NEUTRAL_CONTROL), [1.0] * 13]
    with pytest.raises(ValueError, match="controls of shape"):
        possible_controls(np.zeros((13, 2), np.float32))


# ------------------------------------------------------------ what fighters can do


@pytest.fixture
def simulator() -> Simulator:
    """Fox and Marth on Battlefield, side by side, on the ground."""
    made = Simulator(BATTLEFIELD, (FOX, MARTH))
    made.fighters[0].x, made.fighters[1].x = -5.0, 5.0
    return made


def test_untouched_fighters_wait(simulator: Simulator) -> None:
    frame = play(simulator, pressed(), 30)
    assert (action(frame), action(frame, 1)) == ("WAIT", "WAIT")
    assert (value(frame, "on_ground"), value(frame, "stocks"), value(frame, "y")) == (1.0, 1.0, 0.0)


def test_a_flick_dashes_and_a_tilt_walks(simulator: Simulator) -> None:
    assert action(play(simulator, pressed(main_x=0.0))) == "DASH"
    assert action(play(simulator, pressed(main_x=0.0), 20)) == "RUN"
    simulator = Simulator(BATTLEFIELD, (FOX, MARTH))
    assert action(play(simulator, pressed(main_x=0.7), 3)) == "WALK_SLOW"


def test_a_jump_goes_up_and_lands(simulator: Simulator) -> None:
    simulator.fighters[0].x = 0.0
    seen = [action(play(simulator, pressed(X=float(frame < 6)))) for frame in range(120)]
    order = [name for name, _ in itertools.groupby(seen)]
    assert order == ["KNEE_BEND", "JUMP_F", "FALL", "LANDING", "WAIT"]


def test_there_is_one_more_jump_in_the_air_and_no_third(simulator: Simulator) -> None:
    left = []
    for frame in range(60):
        left.append(int(play(simulator, pressed(X=float(frame % 12 < 4))).ints[int_index("jumps_left")]))
    assert sorted(set(left), reverse=True) == [2, 1, 0]


def test_platforms_hold_from_above_and_let_through_from_below_and_on_demand(simulator: Simulator) -> None:
    fighter = simulator.fighters[0]
    fighter.x = -40.0
    for frame in range(60):
        last = play(simulator, pressed(X=float(frame < 8)))
    assert value(last, "y") == pytest.approx(27.2 * 0.05)
    assert int(last.ints[int_index("ground")]) == 3
    assert action(play(simulator, pressed(main_y=0.0))) == "PASS"
    assert value(play(simulator, pressed(), 60), "y") == 0.0


def test_an_attack_hurts_freezes_and_pushes(simulator: Simulator) -> None:
    simulator.fighters[0].facing = 1
    frames = [play(simulator, pressed(A=float(frame < 4))) for frame in range(12)]
    hit = next(frame for frame in frames if value(frame, "percent", 1) > 0)
    assert value(hit, "percent", 1) == pytest.approx(0.04)
    assert action(hit) == "ATTACK_11"
    assert value(hit, "hitlag") == value(hit, "hitlag", 1) > 0
    assert action(hit, 1).startswith("DAMAGE_")
    assert int(hit.ints[int_index("last_attack_landed")]) == 2
    assert value(frames[-1], "speed_attack_x", 1) > 0


def test_knockback_grows_with_percent() -> None:
    speeds = []
    for percent in (0.0, 60.0, 120.0):
        simulator = Simulator(BATTLEFIELD, (FOX, MARTH))
        simulator.fighters[0].x, simulator.fighters[1].x = -5.0, 5.0
        simulator.fighters[1].percent = percent
        frames = [play(simulator, pressed(c_x=1.0 if frame < 4 else 0.5)) for frame in range(40)]
        speeds.append(max(value(frame, "speed_attack_x", 1) for frame in frames))
    assert speeds == sorted(speeds)
    assert speeds[0] < speeds[2] / 2


def test_a_shield_stops_damage_and_shrinks(simulator: Simulator) -> None:
    simulator.fighters[0].facing = 1
    for _ in range(5):
        simulator.step(both(pressed(), pressed(shoulder=1.0)))
    for frame in range(12):
        last = simulator.step(both(pressed(A=float(frame < 4)), pressed(shoulder=1.0)))
    assert value(last, "percent", 1) == 0.0
    assert value(last, "shield", 1) < 0.57


def test_crossing_a_blast_zone_costs_a_stock_and_brings_back(simulator: Simulator) -> None:
    fighter = simulator.fighters[0]
    fighter.x, fighter.y, fighter.grounded, fighter.percent = 300.0, 0.0, False, 80.0
    dead = play(simulator, pressed())
    assert (action(dead), value(dead, "stocks")) == ("DEAD_RIGHT", 0.75)
    back = play(simulator, pressed(), 70)
    assert (action(back), value(back, "percent"), value(back, "invulnerable")) == ("REBIRTH", 0.0, 1.0)
    assert action(play(simulator, pressed(), 80)) == "REBIRTH_WAIT"
    assert action(play(simulator, pressed(main_x=1.0))) == "FALL"


def test_the_last_stock_ends_the_match(simulator: Simulator) -> None:
    fighter = simulator.fighters[0]
    fighter.stocks, fighter.y, fighter.grounded = 1, -200.0, False
    last = play(simulator, pressed(), 200)
    assert (simulator.over, action(last), value(last, "stocks")) == (True, "SLEEP", 0.0)


# ------------------------------------------------------------ going on from a frame


def test_going_on_from_a_frame_keeps_what_the_frame_shows() -> None:
    simulator = Simulator(BATTLEFIELD, (FOX, MARTH), 5)
    controls = held_controls(np.random.default_rng(11), 200)
    for each in controls:
        frame = simulator.step(each)
    again = Simulator.from_frame(frame.floats, frame.ints).frame(possible_controls(controls[-1]).tolist())
    state = [column for player in PLAYERS for column in range(player * 28, player * 28 + 12)]
    assert again.floats[state] == pytest.approx(frame.floats[state], abs=1e-5)
    assert np.array_equal(again.ints[[0, 1, 2, 5, 6, 8, 9, 10, 16]], frame.ints[[0, 1, 2, 5, 6, 8, 9, 10, 16]])


def test_a_real_frame_can_be_gone_on_from(real_data: Any) -> None:
    stored = torch.load(real_data / "encoded-real-32.pt", weights_only=True, mmap=True)
    for row in range(0, 297_628, 9_001):
        floats, ints = stored["floats"][row : row + 1].numpy(), stored["ints"][row : row + 1].numpy()
        simulator = Simulator(BATTLEFIELD, (FOX, MARTH))
        simulator.begin(floats, ints)
        for _ in range(90):
            frame = simulator.step(both(pressed()))
        assert np.isfinite(frame.floats).all()
        assert int(frame.ints[-1]) == int(ints[0, -1])
        assert ACTION_IDS["ENTRY"] not in frame.ints[[0, 8]]
