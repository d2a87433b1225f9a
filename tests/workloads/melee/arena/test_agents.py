from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.workloads.melee.arena.agent_names import AgentName, read_agent, split_game
from cardrunner.workloads.melee.arena.agents import (
    Agent,
    HoldForwardAgent,
    NoopAgent,
    RandomAgent,
    ReplayAgent,
    make_agent,
)
from cardrunner.workloads.melee.encoding.layout import NEUTRAL_CONTROL, PlayerIndex, controller_slice, float_index
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.encoding.windows import swap_floats, swap_ints
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints
from cardrunner.workloads.melee.policy.agent import PolicyAgent
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes
from tests.examples import examples

SIZES = PolicySizes(context_len=3, hidden_dim=6, trunk_dim=5)
MODEL = PolicyMLP(SIZES).eval()
SEATED: dict[str, Callable[[PlayerIndex], Agent]] = {
    "policy": lambda player: PolicyAgent(MODEL, player),
    "hold-forward": HoldForwardAgent,
    "noop": lambda player: NoopAgent(),
}


def some_frames(seed: int = 0, frames: int = 5) -> tuple[Floats, Ints]:
    dice = np.random.default_rng(seed)
    ints = dice.integers(0, np.array(EncodingConfig().vocabularies), (frames, 17))
    return dice.random((frames, 56), np.float32), ints


def swapped(floats: Floats, ints: Ints) -> tuple[Floats, Ints]:
    return swap_floats(torch.from_numpy(floats)).numpy(), swap_ints(torch.from_numpy(ints)).numpy()


def answers(agent: Agent, floats: Floats, ints: Ints) -> Floats:
    """What an agent does after each frame from its context on."""
    first = agent.context_len
    agent.begin(floats[:first], ints[:first])
    found = [agent.act().copy()]
    for row in range(first, len(floats)):
        agent.observe(Frame(floats[row], ints[row]))
        found.append(agent.act().copy())
    return np.stack(found)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("policy:best", AgentName("policy", "best")),
        ("policy:runs/a:b/best.pt", AgentName("policy", "runs/a:b/best.pt")),
        ("random", AgentName("random")),
        ("hold-forward", AgentName("hold-forward")),
        ("replay", AgentName("replay")),
    ],
)
def test_agents_are_read_as_written(text: str, name: AgentName) -> None:
    assert read_agent(text) == name


@pytest.mark.parametrize("text", ["", "policy", "policy:", "noop:1", "Random"])
def test_an_agent_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unknown agent"):
        read_agent(text)


@pytest.mark.parametrize(
    ("text", "found"), [("a/b.slp", ("a/b.slp", 0)), ("games.pt", ("games.pt", 0)), ("a:b.pt:12", ("a:b.pt", 12))]
)
def test_games_to_begin_with_are_read_as_written(text: str, found: tuple[str, int]) -> None:
    assert split_game(text) == found


@pytest.mark.parametrize("text", ["games", "games.pt:", "games.pt:x", "games.slp:1", ".pt", "3"])
def test_a_game_that_nobody_can_find_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write the number of a validation game"):
        split_game(text)


@examples(25)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(sorted(SEATED)))
def test_swapping_the_players_swaps_the_answers(seed: int, kind: str) -> None:
    frames = some_frames(seed)
    first, second = (SEATED[kind](player) for player in (0, 1))
    assert np.array_equal(answers(first, *frames), answers(second, *swapped(*frames)))
    assert np.array_equal(answers(second, *frames), answers(first, *swapped(*frames)))


def test_swapping_twice_changes_nothing_and_the_stage_stays() -> None:
    floats, ints = some_frames()
    again = swapped(*swapped(floats, ints))
    assert np.array_equal(again[0], floats)
    assert np.array_equal(again[1], ints)
    once = swapped(floats, ints)
    assert np.array_equal(once[1][:, 16], ints[:, 16])
    assert np.array_equal(once[1][:, :8], ints[:, 8:16])
    assert np.array_equal(once[0][:, :28], floats[:, 28:])


@pytest.mark.parametrize("player", [0, 1])
def test_a_policy_in_play_answers_as_its_model_does(player: PlayerIndex) -> None:
    floats, ints = some_frames(frames=1200)  # more than its memory holds at once
    found = answers(PolicyAgent(MODEL, player), floats, ints)
    own = swapped(floats, ints) if player else (floats, ints)
    rows = torch.arange(len(found))[:, None] + torch.arange(3)
    with torch.no_grad():
        expected = MODEL(torch.from_numpy(own[0])[rows], torch.from_numpy(own[1])[rows])
    assert np.abs(found[:, :5] - expected.analog.numpy()).max() < 1e-6
    assert np.array_equal(found[:, 5:] == 1, (expected.button_logits > 0).numpy())


def test_hold_forward_goes_where_the_fighter_looks() -> None:
    floats, ints = np.zeros((1, 56), np.float32), np.zeros((1, 17), np.int64)
    floats[0, float_index("facing", 1)] = 1
    assert answers(HoldForwardAgent(0), floats, ints)[0, 0] == 0
    assert answers(HoldForwardAgent(1), floats, ints)[0, 0] == 1


def test_random_hands_repeat_by_seed() -> None:
    frames = some_frames(frames=20)
    first, again, other = (answers(RandomAgent(seed), *frames) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert ((first >= 0) & (first <= 1)).all()
    assert set(np.unique(first[:, 5:])) == {0.0, 1.0}


@pytest.mark.parametrize("player", [0, 1])
def test_a_replay_is_pressed_again_and_then_let_go(player: PlayerIndex) -> None:
    floats, _ = some_frames(frames=6)
    buttons = slice(controller_slice(player).start + 5, controller_slice(player).stop)
    floats[:, buttons] = floats[:, buttons] > 0.5
    agent = ReplayAgent(floats[2:], player)
    found = answers(agent, *some_frames(seed=9, frames=6))
    assert np.array_equal(found[:4], floats[2:, controller_slice(player)])
    assert np.array_equal(found[4:], np.array([NEUTRAL_CONTROL] * 2, np.float32))
    assert np.array_equal(answers(agent, *some_frames(frames=3)), found[:3]), "it begins anew with every match"


def made(text: str, folder: Path) -> Agent:
    return make_agent(
        read_agent(text),
        0,
        best=folder / "best.pt",
        workspace=folder,
        seed=0,
        encoding=EncodingConfig(),
        replay=some_frames()[0],
    )


def test_policies_come_from_the_run_or_from_a_path(tmp_path: Path) -> None:
    frames = some_frames()
    models = []
    for number, name in enumerate(("best.pt", "latest.pt", "other.pt")):
        torch.manual_seed(number)
        models.append(PolicyMLP(SIZES).eval())
        torch.save({"model_state_dict": models[-1].state_dict()}, tmp_path / name)
    for model, text in zip(models, ("policy:best", "policy:latest", "policy:other.pt"), strict=True):
        assert np.array_equal(answers(made(text, tmp_path), *frames), answers(PolicyAgent(model, 0), *frames))


def test_a_policy_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"nowhere\.pt: there is no such checkpoint"):
        made("policy:nowhere.pt", tmp_path)
