from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.arena.agents import Agent, HoldForwardAgent, NoopAgent, RandomAgent
from cardrunner.workloads.melee.arena.match import PATIENCE, MatchEnd, play_match
from cardrunner.workloads.melee.arena.match_json import MatchFile, MatchMeta
from cardrunner.workloads.melee.encoding.layout import NEUTRAL_CONTROL, float_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.rules import Events
from cardrunner.workloads.melee.game.stage_table import BATTLEFIELD
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints, World
from cardrunner.workloads.melee.simulator.simulator import Simulator

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
    """A world that goes wrong in every way; with ``healthy_every`` it says something possible now and then."""

    action_logits = None

    def __init__(self, healthy_every: int = 0) -> None:
        self.steps, self.healthy_every = 0, healthy_every

    def begin(self, floats: Floats, ints: Ints) -> None:
        self.accept(Frame(floats[-1], ints[-1]))

    def accept(self, frame: Frame) -> None:
        self.before = frame

    def step(self, controls: Floats) -> Frame:
        self.steps += 1
        if self.healthy_every and self.steps % self.healthy_every == 0:
            return self.before
        wrong = [np.nan, np.inf, -np.inf, 1e30, -1e30][self.steps % 5]
        floats = np.full_like(self.before.floats, wrong)
        for player in (0, 1):
            floats[float_index("stocks", player)] = np.nan
        return Frame(floats, np.full_like(self.before.ints, [-5, 10**9][self.steps % 2]))


def opening(frames: int = 3) -> tuple[Floats, Ints]:
    simulator = Simulator(BATTLEFIELD, (1, 22), seed=0)
    still = np.array([NEUTRAL_CONTROL, NEUTRAL_CONTROL], np.float32)
    made = [simulator.step(still) for _ in range(frames)]
    return np.stack([frame.floats for frame in made]), np.stack([frame.ints for frame in made])


def play(
    p0: Agent, p1: Agent, *, frames: int, world: World | None = None, seed: tuple[Floats, Ints] | None = None
) -> tuple[MatchEnd, dict[str, Any]]:
    """A match and what its file holds."""
    floats, ints = seed or opening()
    stream = io.BytesIO()
    recorder = MatchFile(stream, META, ENCODING)
    end = play_match(
        world or Simulator.from_frame(floats[-1], ints[-1]),
        (p0, p1),
        floats,
        ints,
        max_frames=frames,
        encoding=ENCODING,
        recorder=recorder,
    )
    recorder.end(end)

    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return end, json.loads(stream.getvalue(), parse_constant=never)


def test_the_same_seed_plays_the_same_match() -> None:
    first, again = (play(RandomAgent(1), RandomAgent(2), frames=150) for _ in range(2))
    assert first == again
    assert first != play(RandomAgent(3), RandomAgent(2), frames=150)


def test_an_agent_plays_the_same_match_twice() -> None:
    agents = RandomAgent(1), RandomAgent(2)
    assert play(*agents, frames=40) == play(*agents, frames=40)


def test_it_ends_when_the_frames_are_used_up() -> None:
    end, _ = play(NoopAgent(), NoopAgent(), frames=20)
    assert (end.seed_frames, end.played, end.ended) == (3, 20, "frames")


def test_it_ends_when_somebody_has_no_stock_left() -> None:
    floats, ints = opening()
    floats[:, float_index("stocks", 0)] = 0.25
    floats[:, float_index("x", 0)] = -11.0  # 220 units left of the centre, beyond the ledge
    floats[:, float_index("y", 0)] = -5.0
    end, content = play(NoopAgent(), NoopAgent(), frames=2000, seed=(floats, ints))
    assert end.ended == "stocks"
    assert end.played < 600
    last = content["frames"][-1]
    assert [last["harness_events"][slot]["ko"] for slot in ("p0", "p1")] == [True, False]
    assert last["predicted"]["p0"]["stocks"] == 0
    assert content["summary"]["final_p0_stocks"] == 0


def test_a_match_that_is_over_before_it_begins_has_no_frames() -> None:
    floats, ints = opening()
    floats[-1, float_index("stocks", 1)] = 0
    end, content = play(NoopAgent(), NoopAgent(), frames=50, seed=(floats, ints))
    assert end.played == content["summary"]["total_frames_predicted"] == 0
    assert content["meta"]["total_frames"] == len(content["frames"]) == 3


def test_a_world_that_explodes_now_and_then_never_makes_an_impossible_frame() -> None:
    end, content = play(RandomAgent(0), HoldForwardAgent(1), frames=300, world=Exploding(healthy_every=PATIENCE))
    assert end.played == 300
    for frame in content["frames"][3:]:
        for player in frame["predicted"].values():
            assert 0 <= player["percent"] <= 999
            assert 0 <= player["stocks"] <= 4
            assert 0 <= player["action"] < 400
            assert abs(player["x"]) < 300
    assert any(frame["harness_events"]["p0"]["velocity_clamped"] for frame in content["frames"][3:])
    assert content["meta"]["stage"]["id"] == BATTLEFIELD
    healthy = 300 // PATIENCE
    assert content["summary"]["non_finite_frames"] == 300 - healthy
    assert content["summary"]["out_of_range_frames"] == 300 - healthy


def test_a_world_that_has_exploded_ends_the_match_with_a_sentence() -> None:
    sentence = r"the world model has exploded: from frame 0 of the match on its predictions are NaN or infinite"
    with pytest.raises(IntegrityError, match=sentence):
        play(NoopAgent(), NoopAgent(), frames=1000, world=Exploding())


def test_hands_that_are_no_numbers_are_neutral() -> None:
    class Broken(NoopAgent):
        def act(self) -> Floats:
            return np.full(13, np.nan, np.float32)

    assert play(Broken(), NoopAgent(), frames=30) == play(NoopAgent(), NoopAgent(), frames=30)


def test_an_agent_sees_every_frame_once() -> None:
    class Watching(NoopAgent):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def begin(self, floats: Floats, ints: Ints) -> None:
            self.seen += [float(row[float_index("x")]) for row in floats]

        def observe(self, frame: Frame) -> None:
            self.seen.append(float(frame.floats[float_index("x")]))

    watching = Watching()
    _, content = play(watching, NoopAgent(), frames=300)
    told = [(frame["actual"] or frame["predicted"])["p0"]["x"] for frame in content["frames"]]
    assert watching.seen == pytest.approx([x * 0.05 for x in told], abs=1e-5)


def test_the_file_holds_what_viewers_read() -> None:
    _, content = play(RandomAgent(0), NoopAgent(), frames=8)
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
        assert ("harness_events" in frame) == (not seed)
        for slot in ("p0", "p1"):
            player = (frame["actual"] or frame["predicted"])[slot]
            assert set(player) >= VIEWER_PLAYER
            assert player["facing"] == player["facing_right"]
            assert set(player) >= PREDICTED_ONLY or seed
            assert len(player["controller"]) == 13


@pytest.mark.parametrize("frames", [255, 256, 257, 700])
def test_frames_follow_each_other_across_the_blocks_they_are_written_in(frames: int) -> None:
    _, content = play(RandomAgent(0), RandomAgent(1), frames=frames)
    assert [frame["t"] for frame in content["frames"]] == list(range(len(content["frames"])))
    assert content["meta"]["total_frames"] == len(content["frames"])


def test_seed_frames_are_decoded_to_game_units() -> None:
    floats, ints = opening()
    floats[0, float_index("percent", 1)] = 0.5
    _, content = play(NoopAgent(), NoopAgent(), frames=1, seed=(floats, ints))
    player = content["frames"][0]["actual"]["p1"]
    assert player["percent"] == pytest.approx(50)
    assert player["stocks"] == 4
    assert player["shield"] == pytest.approx(60)
    assert player["x"] == pytest.approx(floats[0, float_index("x", 1)] * 20, abs=1e-3)
    assert player["controller"]["main_x"] == 0.5
    assert content["frames"][0]["actual"]["stage"] == BATTLEFIELD


def test_the_summary_adds_up() -> None:
    end, content = play(RandomAgent(5), RandomAgent(6), frames=400)
    summary, played = content["summary"], content["frames"][3:]
    assert summary["total_frames_predicted"] == end.played == len(played)
    events = [frame["harness_events"][slot] for frame in played for slot in ("p0", "p1")]
    assert summary["ko_events"] == sum(event["ko"] for event in events)
    assert summary["final_p0_stocks"] == played[-1]["predicted"]["p0"]["stocks"]
    speeds = [frame["predicted"][slot]["speed_magnitude"] for frame in played for slot in ("p0", "p1")]
    assert summary["max_speed"] == max(speeds)
    assert summary["avg_speed"] == pytest.approx(sum(speeds) / len(speeds), abs=1e-4)
    off = sum(frame["predicted"][slot]["off_stage"] for frame in played for slot in ("p0", "p1"))
    assert summary["off_stage_frames"] == off


def test_likely_actions_come_with_their_chances() -> None:
    logits = np.zeros((2, 400), np.float32)
    logits[0, [14, 20, 24]] = np.log([5.0, 3.0, 2.0])
    logits[0, logits[0] == 0] = -1e9
    logits[1] = np.nan
    recorder = MatchFile(stream := io.BytesIO(), META, ENCODING)
    floats, ints = opening()
    recorder.begin(floats, ints)
    recorder.add(Frame(floats[-1], ints[-1]), Events(), logits)
    recorder.end(MatchEnd(3, 1, "frames", 0, 0))
    players = json.loads(stream.getvalue())["frames"][3]["predicted"]
    assert [(each["name"], each["prob"]) for each in players["p0"]["top3_actions"]] == [
        ("WAIT", 0.5),
        ("DASH", 0.3),
        ("KNEE_BEND", 0.2),
    ]
    assert players["p0"]["action_entropy"] == pytest.approx(1.0297, abs=1e-4)
    assert players["p1"]["top3_actions"][0] == {
        "action": players["p1"]["action"],
        "name": players["p1"]["action_name"],
        "prob": 1.0,
    }
    assert players["p1"]["action_entropy"] == 0
