from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardrunner.workloads.melee.agents import Agent, HoldForwardAgent, NoopAgent, RandomAgent, Seat
from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.layout import NEUTRAL_CONTROL, float_index
from cardrunner.workloads.melee.match import Match, play_match
from cardrunner.workloads.melee.match_json import MatchMeta, write_match
from cardrunner.workloads.melee.simulator import Simulator
from cardrunner.workloads.melee.stages import BATTLEFIELD
from cardrunner.workloads.melee.world import Floats, Frame, Ints, World

ENCODING = EncodingConfig()
META = MatchMeta(model_name="simulator", arch="simulator", context_len=3, p0_agent="random", p1_agent="noop")
VIEWER_META = {"model_name", "arch", "stage", "characters", "mode", "context_len", "seed_frames", "total_frames"}
VIEWER_PLAYER = {"x", "y", "percent", "stocks", "facing_right", "action_name", "action"}
PREDICTED_ONLY = {
    "top3_actions",
    "velocity",
    "action_entropy",
    "speed_magnitude",
    "off_stage",
    "near_blast_zone",
}


class Exploding:
    """A world that goes wrong in every way."""

    def __init__(self) -> None:
        self.steps = 0

    def begin(self, floats: Floats, ints: Ints) -> None:
        self.floats, self.ints = floats[-1].copy(), ints[-1].copy()

    def step(self, controls: Floats) -> Frame:
        self.steps += 1
        wrong = [np.nan, np.inf, -np.inf, 1e30, -1e30][self.steps % 5]
        floats = np.full_like(self.floats, wrong)
        for player in (0, 1):
            floats[float_index("stocks", player)] = np.nan
        return Frame(floats, np.full_like(self.ints, [-5, 10**9][self.steps % 2]))


def opening(frames: int = 3) -> tuple[Floats, Ints]:
    simulator = Simulator(BATTLEFIELD, (1, 22), seed=0)
    still = np.array([NEUTRAL_CONTROL, NEUTRAL_CONTROL], np.float32)
    made = [simulator.step(still) for _ in range(frames)]
    return np.stack([frame.floats for frame in made]), np.stack([frame.ints for frame in made])


def play(
    p0: Agent, p1: Agent, *, frames: int, world: World | None = None, seed: tuple[Floats, Ints] | None = None
) -> Match:
    floats, ints = seed or opening()
    seats = (Seat(p0, 0), Seat(p1, 1))
    simulator = world or Simulator.from_frame(floats[-1], ints[-1])
    return play_match(simulator, seats, floats, ints, max_frames=frames, encoding=ENCODING)


def written(match: Match, folder: Path) -> dict[str, Any]:
    write_match(folder / "match.json", match, META)

    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    loaded: dict[str, Any] = json.loads((folder / "match.json").read_text(), parse_constant=never)
    return loaded


def test_the_same_seed_plays_the_same_match() -> None:
    first, again = (play(RandomAgent(1), RandomAgent(2), frames=150) for _ in range(2))
    assert first == again
    assert first != play(RandomAgent(3), RandomAgent(2), frames=150)


def test_it_ends_when_the_frames_are_used_up() -> None:
    match = play(NoopAgent(), NoopAgent(), frames=20)
    assert (len(match.seed), len(match.played), match.ended) == (3, 20, "frames")


def test_it_ends_when_somebody_has_no_stock_left() -> None:
    floats, ints = opening()
    floats[:, float_index("stocks", 0)] = 0.25
    floats[:, float_index("x", 0)] = -11.0  # 220 units left of the centre, beyond the ledge
    floats[:, float_index("y", 0)] = -5.0
    match = play(NoopAgent(), NoopAgent(), frames=2000, seed=(floats, ints))
    assert match.ended == "stocks"
    assert len(match.played) < 600
    assert match.played[-1].ko == (True, False)
    assert match.played[-1].players[0].stocks == 0


def test_a_match_that_is_over_before_it_begins_has_no_frames(tmp_path: Path) -> None:
    floats, ints = opening()
    floats[-1, float_index("stocks", 1)] = 0
    match = play(NoopAgent(), NoopAgent(), frames=50, seed=(floats, ints))
    assert match.played == ()
    assert written(match, tmp_path)["summary"]["total_frames_predicted"] == 0


def test_an_exploding_world_never_makes_an_impossible_frame(tmp_path: Path) -> None:
    world = Exploding()
    floats, ints = opening()
    world.begin(floats, ints)
    match = play(RandomAgent(0), HoldForwardAgent(), frames=25, world=world, seed=(floats, ints))
    content = written(match, tmp_path)
    assert len(match.played) == 25
    for frame in content["frames"][3:]:
        for player in frame["predicted"].values():
            assert 0 <= player["percent"] <= 999
            assert 0 <= player["stocks"] <= 4
            assert 0 <= player["action"] < 400
            assert abs(player["x"]) < 300
    assert any(frame["harness_events"]["p0"]["velocity_clamped"] for frame in content["frames"][3:])
    assert content["meta"]["stage"]["id"] == BATTLEFIELD


def test_player_one_sees_itself_first() -> None:
    seen = []

    class Watching(NoopAgent):
        def act(self, floats: Any, ints: Any) -> Any:
            seen.append(float(floats[-1, float_index("x")]))
            return super().act(floats, ints)

    floats, _ = opening()
    play(Watching(), Watching(), frames=1)
    assert seen == [pytest.approx(floats[-1, float_index("x", player)]) for player in (0, 1)]


def test_the_file_holds_what_viewers_read(tmp_path: Path) -> None:
    content = written(play(RandomAgent(0), NoopAgent(), frames=8), tmp_path)
    assert list(content) == ["meta", "stage_geometry", "frames", "summary"]
    meta, geometry = content["meta"], content["stage_geometry"]
    assert set(meta) >= VIEWER_META
    assert meta["mode"] == "agent-vs-agent"
    assert (meta["total_frames"], meta["seed_frames"]) == (11, 3)
    assert meta["characters"] == {"p0": {"id": 1, "name": "Fox"}, "p1": {"id": 22, "name": "Falco"}}
    assert geometry["blast_zones"] == {"left": -224.0, "right": 224.0, "top": 200.0, "bottom": -108.8}
    assert geometry["ground_x_range"] == [-68.4, 68.4]
    assert [frame["t"] for frame in content["frames"]] == list(range(11))
    for frame in content["frames"]:
        seed = frame["source"] == "seed"
        assert (frame["actual"] is None, frame["predicted"] is None) == (not seed, seed)
        for slot in ("p0", "p1"):
            player = (frame["actual"] or frame["predicted"])[slot]
            assert set(player) >= VIEWER_PLAYER
            assert player["facing"] == player["facing_right"]
            assert set(player) >= PREDICTED_ONLY or seed
            assert len(player["controller"]) == 13


def test_seed_frames_are_decoded_to_game_units(tmp_path: Path) -> None:
    floats, ints = opening()
    floats[0, float_index("percent", 1)] = 0.5
    player = written(play(NoopAgent(), NoopAgent(), frames=1, seed=(floats, ints)), tmp_path)["frames"][0]["actual"][
        "p1"
    ]
    assert player["percent"] == pytest.approx(50)
    assert player["stocks"] == 4
    assert player["shield"] == pytest.approx(60)
    assert player["x"] == pytest.approx(floats[0, float_index("x", 1)] * 20, abs=1e-3)
    assert player["controller"]["main_x"] == 0.5


def test_the_summary_adds_up(tmp_path: Path) -> None:
    match = play(RandomAgent(5), RandomAgent(6), frames=400)
    summary = written(match, tmp_path)["summary"]
    assert summary["total_frames_predicted"] == len(match.played)
    assert summary["ko_events"] == sum(sum(frame.ko) for frame in match.played)
    assert summary["final_p0_stocks"] == match.played[-1].players[0].stocks
    assert summary["max_speed"] >= summary["avg_speed"] > 0
