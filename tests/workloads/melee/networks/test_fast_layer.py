from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.fast_codes import encode_batch, groups_of
from cardrunner.workloads.melee.networks.fast_layer import embedded_linear
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes

TINY = EncodingConfig(
    action_vocab=4,
    action_embed_dim=2,
    jumps_vocab=2,
    jumps_embed_dim=1,
    character_vocab=3,
    character_embed_dim=2,
    last_attack_vocab=2,
    last_attack_embed_dim=1,
    ground_vocab=2,
    ground_embed_dim=1,
    state_age_embed_vocab=3,
    state_age_embed_dim=1,
    stage_vocab=2,
    stage_embed_dim=1,
)


def inputs(batch: int, context_len: int, encoding: EncodingConfig) -> tuple[Tensor, Tensor]:
    dice = torch.Generator().manual_seed(1)
    floats = torch.rand(batch, context_len, encoding.floats, generator=dice, dtype=torch.float64)
    uniform = torch.rand(batch, context_len, encoding.ints, generator=dice)
    return floats, (uniform * torch.tensor(encoding.vocabularies)).long()


def parameters(model: PolicyMLP) -> list[torch.nn.Parameter]:
    names = [f"{table.name}_embed.weight" for table in model.encoding.embeddings]
    return [model.get_parameter(name) for name in ("trunk.0.weight", "trunk.0.bias", *names)]


@pytest.mark.parametrize("hidden", [7, 256, 260])
def test_outputs_and_gradients_are_those_of_the_plain_layer(hidden: int) -> None:
    torch.manual_seed(0)
    model = PolicyMLP(PolicySizes(context_len=3, hidden_dim=hidden, trunk_dim=2)).double()
    weight, bias, *tables = owned = parameters(model)
    floats, ints = inputs(21, 3, model.encoding)
    pull = torch.randn(21, hidden, dtype=torch.float64)

    plain = functional.linear(model.frame_vectors(floats, ints).flatten(1), weight, bias)
    expected = torch.autograd.grad(plain, owned, pull)
    groups = groups_of(model.encoding, 3)
    fast = embedded_linear(floats, encode_batch(groups, ints), groups, weight, bias, tables)
    found = torch.autograd.grad(fast, owned, pull)

    torch.testing.assert_close(fast, plain, rtol=1e-12, atol=1e-12)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_gradients_agree_with_finite_differences() -> None:
    torch.manual_seed(0)
    model = PolicyMLP(PolicySizes(context_len=1, hidden_dim=2, trunk_dim=2), encoding=TINY).double()
    floats, ints = inputs(3, 1, TINY)
    groups = groups_of(TINY, 1)
    codes = encode_batch(groups, ints)

    def layer(weight: Tensor, bias: Tensor, *tables: Tensor) -> Tensor:
        return embedded_linear(floats, codes, groups, weight, bias, tables)

    assert torch.autograd.gradcheck(layer, parameters(model))
