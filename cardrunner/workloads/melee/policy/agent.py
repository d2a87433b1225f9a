"""Agents that play with a trained policy."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cardrunner.workloads.melee.encoding.layout import ANALOG, FLOATS, INTS, PlayerIndex
from cardrunner.workloads.melee.encoding.windows import swap_floats, swap_ints
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints
from cardrunner.workloads.melee.networks.stepwise import Dense, FirstLayer, Trunk, first_linear
from cardrunner.workloads.melee.policy.mlp import Controls, PolicyMLP

_ANALOG = len(ANALOG)


class PolicyAgent:
    """Plays the predictions of a PolicyMLP: its analog values, and each button that is more likely down than up.

    Each frame passes through the first layer once, on arrival.

    Args:
        model: the trained module.
        player: the player that it controls; as player 1 it sees the halves of the frames swapped and the stage kept.
    """

    def __init__(self, model: PolicyMLP, player: PlayerIndex) -> None:
        self.context_len = model.sizes.context_len
        self._first = FirstLayer(model, first_linear(model.trunk), self.context_len, player=player)
        self._trunk = Trunk(model.trunk)
        heads = (model.analog_head, model.button_head)
        self._heads = Dense(torch.cat([head.weight for head in heads]), torch.cat([head.bias for head in heads]))

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Start from at least K frames."""
        for row in range(len(floats)):
            self.observe(Frame(floats[row], ints[row]))

    def observe(self, frame: Frame) -> None:
        """Add the newest frame."""
        self._first.observe(frame.floats, frame.ints)

    def act(self) -> Floats:
        """The controller for the next frame: analog values within 0..1, buttons 0 or 1; the next call overwrites it."""
        controls = self._heads(self._trunk(self._first.hidden))
        analog, buttons = controls[:_ANALOG], controls[_ANALOG:]
        np.divide(1.0, 1.0 + np.exp(-analog), out=analog)
        np.greater(buttons, 0.0, out=buttons)
        return controls


class WindowAgent:
    """The same for any policy: in every frame the module runs on the last K frames.

    Args:
        module: trained; float_ctx (1, K, 56) and int_ctx (1, K, 17) to `Controls`.
        context_len: K.
        player: the player that it controls; as player 1 it sees the halves of the frames swapped and the stage kept.
    """

    def __init__(self, module: nn.Module, context_len: int, player: PlayerIndex) -> None:
        self.context_len = context_len
        self._module, self._player = module, player
        self._floats, self._ints = torch.zeros(1, context_len, FLOATS), torch.zeros(1, context_len, INTS).long()

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Start from at least K frames."""
        for row in range(len(floats)):
            self.observe(Frame(floats[row], ints[row]))

    def observe(self, frame: Frame) -> None:
        """Add the newest frame, and drop the oldest."""
        floats, ints = torch.as_tensor(frame.floats), torch.as_tensor(frame.ints)
        if self._player:
            floats, ints = swap_floats(floats), swap_ints(ints)
        self._floats = torch.cat([self._floats[:, 1:], floats[None, None]], dim=1)
        self._ints = torch.cat([self._ints[:, 1:], ints[None, None]], dim=1)

    @torch.no_grad()
    def act(self) -> Floats:
        """The controller for the next frame: analog values within 0..1, buttons 0 or 1."""
        controls: Controls = self._module(self._floats, self._ints)
        return torch.cat([controls.analog[0], controls.pressed[0].float()]).numpy()
