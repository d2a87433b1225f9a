"""World models one frame at a time say what they say at once, and a frame is made of it as in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.plausible import FrameLimits
from cardrunner.workloads.melee.game.stage_table import stage_geometry
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints
from cardrunner.workloads.melee.world_model.columns import CONTROL_COLUMNS
from cardrunner.workloads.melee.world_model.foresight import advance
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.learned_world import LearnedWorld
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Sizes
from cardrunner.workloads.melee.world_model.prediction import WorldModel
from cardrunner.workloads.melee.world_model.world_steps import Mamba2Step, MambaStep, output_order, world_step

K = 5
ENCODING = EncodingConfig()


def a_model(kind: str) -> WorldModel:
    torch.manual_seed(0)
    model: WorldModel
    if kind == "Mamba2":
        model = Mamba2(Mamba2Sizes(context_len=K, d_model=16, d_state=4, n_layers=3, headdim=8, chunk_size=K))
    else:
        model = FrameStackMLP(FrameStackSizes(context_len=K, hidden_dim=12, trunk_dim=8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()


def some_frames(frames: int) -> tuple[Floats, Ints]:
    dice = np.random.default_rng(0)
    ints = dice.integers(0, np.array(ENCODING.vocabularies), (frames, 17))
    ints[:, 16] = 31
    return dice.random((frames, 56), np.float32) * 0.6, ints


@torch.no_grad()
def at_once(model: WorldModel, floats: Floats, ints: Ints, first: int, rows: int) -> Tensor:
    """Outputs for the frame after `rows` frames from `first` on, in the order of play."""
    context = slice(first, first + rows)
    controls = torch.from_numpy(floats[first + rows, CONTROL_COLUMNS])[None]
    trunk = model.trunk_output(torch.from_numpy(floats[context])[None], torch.from_numpy(ints[context])[None], controls)
    weight, bias = model.heads()
    return (trunk @ weight.T + bias)[0, torch.from_numpy(output_order(ENCODING))]


def test_stacked_frames_in_play_are_the_model_at_every_frame() -> None:
    model, (floats, ints) = a_model("FrameStackMLP"), some_frames(1100)
    step = world_step(model)
    for row in range(len(floats) - 1):
        step.observe(floats[row], ints[row])
        if row >= K - 1:
            found = step.predict(floats[row + 1, CONTROL_COLUMNS])
            expected = at_once(model, floats, ints, row - K + 1, K).numpy()
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("rows", range(1, K + 1))
def test_a_mamba_that_has_seen_no_more_than_k_frames_is_the_model(rows: int) -> None:
    model, (floats, ints) = a_model("Mamba2"), some_frames(K + 1)
    step = world_step(model)
    for row in range(rows):
        step.observe(floats[row], ints[row])
    found = step.predict(floats[rows, CONTROL_COLUMNS])
    np.testing.assert_allclose(found, at_once(model, floats, ints, 0, rows).numpy(), atol=1e-5)


def test_a_mamba_that_remembers_everything_is_the_model_over_everything() -> None:
    model, (floats, ints) = a_model("Mamba2"), some_frames(60)
    assert isinstance(model, Mamba2)
    step = Mamba2Step(model)
    step._blocks = MambaStep(model, remembered=100)
    for row in range(59):
        step.observe(floats[row], ints[row])
    found = step.predict(floats[59, CONTROL_COLUMNS])
    np.testing.assert_allclose(found, at_once(model, floats, ints, 0, 59).numpy(), atol=1e-4)


def test_what_was_seen_long_ago_is_forgotten() -> None:
    model, (floats, ints) = a_model("Mamba2"), some_frames(40)
    assert isinstance(model, Mamba2)
    answers = []
    for first in (0, 5):
        step = Mamba2Step(model)
        for row in range(first, 39):
            step.observe(floats[row], ints[row])
        answers.append(step.predict(floats[39, CONTROL_COLUMNS]).copy())
    reach = model.sizes.n_layers * (K - 1 + 3)  # through every block its J frames and its convolution
    assert reach < 34
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)


@pytest.mark.parametrize("kind", ["Mamba2", "FrameStackMLP"])
def test_a_frame_in_play_is_the_frame_of_training(kind: str) -> None:
    model, (floats, ints) = a_model(kind), some_frames(K)
    dice = np.random.default_rng(1)
    world, limits = LearnedWorld(model), FrameLimits(stage_geometry(31), ENCODING)
    world.begin(floats, ints)
    context = torch.from_numpy(floats)[None], torch.from_numpy(ints)[None]
    for number in range(4):
        controls = dice.random((2, 13), np.float32)
        controls[:, 5:] = controls[:, 5:] > 0.5
        frame = limits.repair(world.step(controls), Frame(floats[-1], ints[-1])).frame
        given = torch.from_numpy(controls.reshape(1, 26))
        if number == 0:
            with torch.no_grad():
                prediction = model(*context, given)
                expected = advance(context[0][:, -1], context[1][:, -1], prediction, given, ENCODING)
            np.testing.assert_allclose(frame.floats, expected[0][0].numpy(), atol=1e-5)
            assert np.array_equal(frame.ints, expected[1][0].numpy())
            logits = world.action_logits
            assert logits is not None
            np.testing.assert_allclose(logits, prediction.categories[0][0].numpy(), atol=1e-5)
        world.accept(frame)
        assert frame.floats.dtype == np.float32
        assert frame.ints.dtype == np.int64


def test_a_world_can_begin_anew() -> None:
    world, (floats, ints) = LearnedWorld(a_model("Mamba2")), some_frames(K)
    controls = np.zeros((2, 13), np.float32)
    frames = []
    for _ in range(2):
        world.begin(floats, ints)
        made = world.step(controls)
        world.accept(made)
        frames.append(world.step(controls).floats)
    assert np.array_equal(frames[0], frames[1])
