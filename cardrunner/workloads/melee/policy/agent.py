"""A trained policy in play: every frame goes through the first layer once, when it comes."""

from __future__ import annotations

import numpy as np
import torch

from cardrunner.workloads.melee.encoding.layout import ANALOG, PlayerIndex
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints
from cardrunner.workloads.melee.networks.stepwise import Dense, FirstLayer, Trunk, first_linear
from cardrunner.workloads.melee.policy.mlp import PolicyMLP

_ANALOG = len(ANALOG)


class PolicyAgent:
    """Plays what a policy predicts: its analog values, and each button that is more likely down than up.

    Args:
        model: trained.
        player: whose place it takes; as player 1 it sees the halves of the frames swapped and the stage kept.
    """

    def __init__(self, model: PolicyMLP, player: PlayerIndex) -> None:
        self.context_len = model.sizes.context_len
        self._first = FirstLayer(model, first_linear(model.trunk), self.context_len, player=player)
        self._trunk = Trunk(model.trunk)
        heads = (model.analog_head, model.button_head)
        self._heads = Dense(torch.cat([head.weight for head in heads]), torch.cat([head.bias for head in heads]))

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Go on from at least K frames."""
        for row in range(len(floats)):
            self.observe(Frame(floats[row], ints[row]))

    def observe(self, frame: Frame) -> None:
        """Add the newest frame."""
        self._first.observe(frame.floats, frame.ints)

    def act(self) -> Floats:
        """The controller for the next frame: analog values within 0..1, buttons 0 or 1; overwritten by the next one."""
        controls = self._heads(self._trunk(self._first.hidden))
        analog, buttons = controls[:_ANALOG], controls[_ANALOG:]
        np.divide(1.0, 1.0 + np.exp(-analog), out=analog)
        np.greater(buttons, 0.0, out=buttons)
        return controls
