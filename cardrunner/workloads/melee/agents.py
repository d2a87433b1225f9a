"""Who plays: policies and simple scripted hands. Every agent sees its own half of the frames first.

Shapes: K context frames, oldest first; a controller is 13 values in file units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from cardrunner.workloads.melee.agent_names import BEST, LATEST, AgentName
from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.layout import ANALOG, BUTTONS, CONTROLLER, NEUTRAL_CONTROL, PlayerIndex, float_index
from cardrunner.workloads.melee.perspective import swap_floats, swap_ints
from cardrunner.workloads.melee.policy_file import load_policy
from cardrunner.workloads.melee.policy_mlp import PolicyMLP

_FACING = float_index("facing")
_MAIN_X = CONTROLLER.index("main_x")
_RANDOM_PRESS = 1 / 8


class Agent(Protocol):
    """Answers the frames so far with a controller; the same answer to the same frames and the same seed."""

    context_len: int  # frames that it wants to see

    def act(self, floats: Tensor, ints: Tensor) -> Tensor: ...  # (K, 56), (K, 17), own half first -> float32 (13,)


class PolicyAgent:
    """Plays what a trained policy predicts: its analog values, and each button that is more likely down than up."""

    def __init__(self, model: PolicyMLP) -> None:
        self.model = model.eval()
        self.context_len = model.sizes.context_len

    @torch.inference_mode()
    def act(self, floats: Tensor, ints: Tensor) -> Tensor:
        """One forward pass over the last K frames."""
        controls = self.model(floats[None], ints[None])
        return torch.cat([controls.analog[0], controls.pressed[0].to(torch.float32)])


class RandomAgent:
    """Every value by chance each frame: what flailing looks like."""

    context_len = 1

    def __init__(self, seed: int) -> None:
        self._chance = torch.Generator().manual_seed(seed)

    def act(self, floats: Tensor, ints: Tensor) -> Tensor:  # noqa: ARG002
        """Analog values uniform over 0..1, each button down in one of eight frames."""
        analog = torch.rand(len(ANALOG), generator=self._chance)
        buttons = torch.rand(len(BUTTONS), generator=self._chance) < _RANDOM_PRESS
        return torch.cat([analog, buttons.to(torch.float32)])


class NoopAgent:
    """Untouched hands."""

    context_len = 1

    def act(self, floats: Tensor, ints: Tensor) -> Tensor:  # noqa: ARG002
        """Sticks centred, nothing pressed."""
        return torch.tensor(NEUTRAL_CONTROL)


class HoldForwardAgent:
    """Holds the stick where its fighter looks."""

    context_len = 1

    def act(self, floats: Tensor, ints: Tensor) -> Tensor:  # noqa: ARG002
        """Full forward, nothing pressed."""
        controls = torch.tensor(NEUTRAL_CONTROL)
        controls[_MAIN_X] = 1.0 if float(floats[-1, _FACING]) > 0.5 else 0.0
        return controls


class Seat:
    """An agent in a player's place: player 1's agent gets the halves of the frames swapped and the stage kept."""

    def __init__(self, agent: Agent, player: PlayerIndex) -> None:
        self.agent = agent
        self.player = player

    def act(self, floats: Tensor, ints: Tensor) -> Tensor:
        """The controller for the next frame; takes at least as many frames as the agent wants, as the file has them."""
        wanted = self.agent.context_len
        floats, ints = floats[-wanted:], ints[-wanted:]
        if self.player == 1:
            floats, ints = swap_floats(floats), swap_ints(ints)
        return self.agent.act(floats, ints)


def make_agent(name: AgentName, *, best: Path, workspace: Path, seed: int, encoding: EncodingConfig) -> Agent:
    """The agent behind a name of a card.

    Args:
        best: the run's best checkpoint; the latest stands beside it.
        workspace: what relative checkpoint paths are relative to.
        seed: for agents with chance.
        encoding: of the frames they will see.

    Raises:
        EnvironmentFailed, IntegrityError: as `load_policy`.
    """
    if name.kind == "random":
        return RandomAgent(seed)
    if name.kind == "noop":
        return NoopAgent()
    if name.kind == "hold-forward":
        return HoldForwardAgent()
    own = {BEST: best, LATEST: best.with_name("latest.pt")}
    checkpoint = name.checkpoint or BEST
    return PolicyAgent(load_policy(own.get(checkpoint) or workspace / checkpoint, encoding))
