"""The contract of every policy architecture: its parameter count, reloading of checkpoints, and play match its module.

Tests check the built-in architectures. A plug-in architecture is checked with its card's sizes when the data is opened,
before any step is paid for.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cardrunner.errors import IntegrityError, PluginFailed
from cardrunner.plugins import blamed, find_plugin
from cardrunner.workloads.melee.encoding.layout import ANALOG, BUTTONS, FLOATS, INTS, PLAYERS, PlayerIndex
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.encoding.windows import swap_floats, swap_ints
from cardrunner.workloads.melee.game.world import Frame
from cardrunner.workloads.melee.policy.mlp import Controls
from cardrunner.workloads.melee.policy.model_file import TrainedPolicy, read_policy
from cardrunner.workloads.melee.policy.models import KIND, PolicyArchitecture, model_named
from cardrunner.workloads.melee.policy.sections import PolicyModel

_MORE_FRAMES = 3
_TOLERANCE = 1e-4


def check_plugged(model: PolicyModel, encoding: EncodingConfig) -> None:
    """Check the architecture of a card against the contract if it is a plug-in; random states are preserved.

    Raises:
        PluginFailed: it breaks the contract; names the package, the fault and what is expected.
    """
    architecture, plugin = model_named(model.architecture), find_plugin(KIND, model.architecture)
    if plugin is None:
        return
    with blamed(plugin, "breaks the contract of architectures"), torch.random.fork_rng(devices=[]):
        for fault in contract_faults(architecture, model, encoding):
            raise PluginFailed(f"{plugin}: {fault}")


def contract_faults(architecture: PolicyArchitecture, model: PolicyModel, encoding: EncodingConfig) -> Iterator[str]:
    """The violations of the contract with these sizes; later ones may follow from earlier ones."""
    module = architecture.build(model, encoding).eval()
    built = sum(weights.numel() for weights in module.parameters() if weights.requires_grad)
    counted = architecture.parameters(model, encoding)
    if built != counted:
        yield f"build makes {built} trainable parameters, and parameters counts {counted}"
    try:
        trained = _saved_and_read(architecture, module, model, encoding)
    except IntegrityError as error:
        yield f"its own checkpoint cannot be read again: {error}"
        return
    if trained.architecture is not architecture:
        yield f"its checkpoints name {trained.architecture.name}; model_type has to be {architecture.name}"
        return
    for player in PLAYERS:
        yield from _play_faults(trained, module, model, player, encoding)


def _saved_and_read(
    architecture: PolicyArchitecture, module: nn.Module, model: PolicyModel, encoding: EncodingConfig
) -> TrainedPolicy:
    file = io.BytesIO()
    torch.save({"model_state_dict": module.state_dict(), "config": dict(architecture.config(model))}, file)
    file.seek(0)
    return read_policy(torch.load(file, weights_only=True), Path("best.pt"), encoding)


def _play_faults(
    trained: TrainedPolicy, module: nn.Module, model: PolicyModel, player: PlayerIndex, encoding: EncodingConfig
) -> Iterator[str]:
    """Differences between the agent's controllers and the module's outputs over some synthetic frames."""
    context, rows = model.context_len, model.context_len + _MORE_FRAMES
    dice = np.random.default_rng(0)
    floats = dice.random((rows, FLOATS), np.float32)
    ints = dice.integers(0, np.array(encoding.vocabularies), (rows, INTS))
    agent = trained.agent(player)
    agent.begin(floats[:context], ints[:context])
    for row in range(context, rows):
        window = torch.from_numpy(floats[row - context : row])[None], torch.from_numpy(ints[row - context : row])[None]
        with torch.no_grad():
            controls = module(*((swap_floats(window[0]), swap_ints(window[1])) if player else window))
        if not isinstance(controls, Controls):
            yield f"its module answers with a {type(controls).__name__}; it has to be Controls"
            return
        shapes = (tuple(controls.analog.shape), tuple(controls.button_logits.shape))
        if shapes != ((1, len(ANALOG)), (1, len(BUTTONS))):
            yield f"its module answers with {shapes} for one example, expected (1, {len(ANALOG)}), (1, {len(BUTTONS)})"
            return
        pressed = agent.act()
        if _differs(pressed, controls):
            yield f"its agent presses {pressed.round(4).tolist()} as player {player}, where its module says {controls}"
            return
        agent.observe(Frame(floats[row], ints[row]))


def _differs(pressed: np.ndarray, controls: Controls) -> bool:
    analog, logits = controls.analog[0].numpy(), controls.button_logits[0].numpy()
    sure = np.abs(logits) > _TOLERANCE
    apart = np.abs(pressed[: len(ANALOG)] - analog).max()
    return bool(apart > _TOLERANCE or ((pressed[len(ANALOG) :] > 0.5) != (logits > 0))[sure].any())
