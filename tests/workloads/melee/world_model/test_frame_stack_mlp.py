"""The stacked frames in training: the fast trunk is the plain one, and a step asks the device for nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.world_model.examples import WorldBatch
from cardrunner.workloads.melee.world_model.foresight import Foreseer
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Sizes
from cardrunner.workloads.melee.world_model.objective import WorldModelObjective
from cardrunner.workloads.melee.world_model.prediction import WorldModel

K, S = 4, 2


def stacked() -> FrameStackMLP:
    torch.manual_seed(0)
    return FrameStackMLP(FrameStackSizes(context_len=K, hidden_dim=8, trunk_dim=6), dropout=0.0)


def mamba() -> Mamba2:
    return Mamba2(Mamba2Sizes(context_len=K, d_model=8, d_state=4, n_layers=2, headdim=4, chunk_size=K))


def a_batch(examples: int) -> WorldBatch:
    chance = torch.Generator().manual_seed(0)
    frames = S + K + 1
    vocabularies = torch.tensor(EncodingConfig().vocabularies)
    ints = (torch.rand(examples, frames, 17, generator=chance) * vocabularies).long()
    before, after = torch.full((examples,), S), torch.ones(examples, dtype=torch.int64)
    floats = torch.rand(examples, frames, 56, generator=chance)
    return WorldBatch(floats, ints, before, after, torch.full((examples,), 0.3))


def gradients(model: FrameStackMLP, objective: WorldModelObjective, batch: WorldBatch) -> dict[str, Tensor]:
    model.zero_grad()
    objective.score(objective.predict(model, batch), batch).loss.backward()  # type: ignore[no-untyped-call]
    return {name: weights.grad.clone() for name, weights in model.named_parameters() if weights.grad is not None}


def test_the_fast_trunk_gives_the_gradients_of_the_plain_one() -> None:
    model, batch = stacked().train(), a_batch(400)
    objective = WorldModelObjective(Foreseer(K, S, EncodingConfig(), rate=0.3))
    fast = gradients(model, objective, batch)
    model.fast = False
    plain = gradients(model, objective, batch)
    assert fast.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(fast[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("make", [stacked, mamba])
def test_a_step_never_waits_for_what_a_tensor_holds(make: Callable[[], WorldModel]) -> None:
    objective = WorldModelObjective(Foreseer(K, S, EncodingConfig(), rate=0.5))
    with FakeTensorMode(allow_non_fake_inputs=True):  # tensors without values: reading one raises
        model, examples = make().train(), 16
        zeros = torch.zeros(examples, dtype=torch.int64)
        ints = torch.zeros(examples, S + K + 1, 17, dtype=torch.int64)
        batch = WorldBatch(torch.rand(examples, S + K + 1, 56), ints, zeros, zeros, torch.zeros(examples))
        objective.score(objective.predict(model, batch), batch).loss.backward()  # type: ignore[no-untyped-call]
