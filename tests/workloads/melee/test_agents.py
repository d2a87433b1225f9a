from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.workloads.melee.agent_names import AgentName, read_agent
from cardrunner.workloads.melee.agents import (
    Agent,
    HoldForwardAgent,
    NoopAgent,
    PolicyAgent,
    RandomAgent,
    Seat,
    make_agent,
)
from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.layout import float_index
from cardrunner.workloads.melee.perspective import swap_floats, swap_ints
from cardrunner.workloads.melee.policy_mlp import PolicyMLP, PolicySizes

SIZES = PolicySizes(context_len=3, hidden_dim=6, trunk_dim=5)


def some_frames(seed: int = 0, frames: int = 5) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    vocabularies = torch.tensor(EncodingConfig().vocabularies)
    ints = (torch.rand(frames, 17, generator=chance) * vocabularies).long()
    return torch.rand(frames, 56, generator=chance), ints


def some_policy() -> PolicyAgent:
    torch.manual_seed(0)
    return PolicyAgent(PolicyMLP(SIZES))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("policy:best", AgentName("policy", "best")),
        ("policy:runs/a:b/best.pt", AgentName("policy", "runs/a:b/best.pt")),
        ("random", AgentName("random")),
        ("hold-forward", AgentName("hold-forward")),
    ],
)
def test_agents_are_read_as_written(text: str, name: AgentName) -> None:
    assert read_agent(text) == name


@pytest.mark.parametrize("text", ["", "policy", "policy:", "noop:1", "Random"])
def test_an_agent_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unknown agent"):
        read_agent(text)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_swapping_the_players_swaps_the_answers(seed: int) -> None:
    floats, ints = some_frames(seed)
    swapped = swap_floats(floats), swap_ints(ints)
    agents: tuple[Agent, ...] = (some_policy(), HoldForwardAgent(), NoopAgent())
    for agent in agents:
        first, second = Seat(agent, 0), Seat(agent, 1)
        assert torch.equal(first.act(floats, ints), second.act(*swapped))
        assert torch.equal(second.act(floats, ints), first.act(*swapped))


def test_swapping_twice_changes_nothing_and_the_stage_stays() -> None:
    floats, ints = some_frames()
    assert torch.equal(swap_floats(swap_floats(floats)), floats)
    assert torch.equal(swap_ints(swap_ints(ints)), ints)
    assert torch.equal(swap_ints(ints)[:, 16], ints[:, 16])
    assert torch.equal(swap_ints(ints)[:, :8], ints[:, 8:16])
    assert torch.equal(swap_floats(floats)[:, :28], floats[:, 28:])


def test_a_policy_sees_the_last_frames_only_and_presses_what_is_likely() -> None:
    agent, (floats, ints) = some_policy(), some_frames(frames=9)
    controls = Seat(agent, 0).act(floats, ints)
    assert torch.equal(controls, agent.act(floats[-3:], ints[-3:]))
    with torch.no_grad():
        predicted = agent.model(floats[None, -3:], ints[None, -3:])
    assert torch.equal(controls[:5], predicted.analog[0])
    assert torch.equal(controls[5:] == 1, predicted.button_logits[0] > 0)


def test_hold_forward_goes_where_the_fighter_looks() -> None:
    floats, ints = torch.zeros(1, 56), torch.zeros(1, 17, dtype=torch.int64)
    floats[0, float_index("facing", 1)] = 1
    assert float(Seat(HoldForwardAgent(), 0).act(floats, ints)[0]) == 0
    assert float(Seat(HoldForwardAgent(), 1).act(floats, ints)[0]) == 1


def test_random_hands_repeat_by_seed() -> None:
    frames = some_frames()
    first, again, other = RandomAgent(1), RandomAgent(1), RandomAgent(2)
    answers = [torch.stack([agent.act(*frames) for _ in range(20)]) for agent in (first, again, other)]
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])
    assert bool(((answers[0] >= 0) & (answers[0] <= 1)).all())


def test_policies_come_from_the_run_or_from_a_path(tmp_path: Path) -> None:
    for number, name in enumerate(("best.pt", "latest.pt", "other.pt")):
        torch.manual_seed(number)
        torch.save({"model_state_dict": PolicyMLP(SIZES).state_dict()}, tmp_path / name)
    biases = []
    for text in ("policy:best", "policy:latest", "policy:other.pt"):
        agent = make_agent(
            read_agent(text), best=tmp_path / "best.pt", workspace=tmp_path, seed=0, encoding=EncodingConfig()
        )
        assert isinstance(agent, PolicyAgent)
        biases.append(agent.model.analog_head.bias)
    assert not torch.equal(biases[0], biases[1])
    assert not torch.equal(biases[1], biases[2])


def test_a_policy_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"nowhere\.pt: there is no such checkpoint"):
        make_agent(
            read_agent("policy:nowhere.pt"),
            best=tmp_path / "best.pt",
            workspace=tmp_path,
            seed=0,
            encoding=EncodingConfig(),
        )
