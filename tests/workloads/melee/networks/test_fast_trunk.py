from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cardrunner.contracts import Batch
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.fast_trunk import can_go_fast, relu_dropout
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes
from cardrunner.workloads.melee.policy.objective import PolicyObjective

ENOUGH = 400
SIZES = PolicySizes(context_len=2, hidden_dim=12, trunk_dim=6)


def policy(*, fast: bool, dropout: float = 0.0) -> PolicyMLP:
    torch.manual_seed(0)
    model = PolicyMLP(SIZES, dropout=dropout)
    model.fast = fast
    return model


@pytest.fixture(scope="module")
def batch() -> Batch:
    dice = torch.Generator().manual_seed(2)
    ints = torch.rand(ENOUGH, 2, 17, generator=dice) * torch.tensor(EncodingConfig().vocabularies)
    target = torch.rand(ENOUGH, 13, generator=dice).round()
    return torch.rand(ENOUGH, 2, 56, generator=dice), ints.long(), target


def train(model: PolicyMLP, batch: Batch, *, steps: int) -> dict[str, Tensor]:
    objective = PolicyObjective()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        objective.score(objective.predict(model, batch), batch).loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.state_dict()


def test_gradients_are_those_of_the_plain_model_to_float32_rounding(batch: Batch) -> None:
    models = {fast: policy(fast=fast) for fast in (False, True)}
    for model in models.values():
        train(model, batch, steps=1)
    assert models[True].trunk[0].weight.grad is not None
    for (name, plain), fast in zip(models[False].named_parameters(), models[True].parameters(), strict=True):
        assert plain.grad is not None, name
        assert fast.grad is not None, name
        torch.testing.assert_close(fast.grad, plain.grad, rtol=1e-5, atol=1e-5 * float(plain.grad.abs().max()))


def test_training_follows_the_plain_model_and_checkpoints_are_interchangeable(batch: Batch) -> None:
    plain, fast = (train(policy(fast=kind), batch, steps=20) for kind in (False, True))
    assert list(plain) == list(fast)
    for name, weights in plain.items():
        torch.testing.assert_close(fast[name], weights, rtol=1e-4, atol=1e-5)
    policy(fast=True).load_state_dict(plain)


def test_the_same_seed_gives_the_same_weights_to_the_bit(batch: Batch) -> None:
    one, other = (train(policy(fast=True, dropout=0.3), batch, steps=3) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_dropout_follows_from_the_state_of_torch_s_generator(batch: Batch) -> None:
    model = policy(fast=True, dropout=0.5)
    state = torch.get_rng_state()
    first = model(batch[0], batch[1]).analog
    torch.set_rng_state(state)
    assert torch.equal(model(batch[0], batch[1]).analog, first)
    assert not torch.equal(model(batch[0], batch[1]).analog, first)


def test_evaluation_is_the_plain_model_to_the_bit(batch: Batch) -> None:
    plain, fast = (policy(fast=kind, dropout=0.5).eval() for kind in (False, True))
    with torch.no_grad():
        expected, found = plain(batch[0], batch[1]), fast(batch[0], batch[1])
    assert torch.equal(found.analog, expected.analog)
    assert torch.equal(found.button_logits, expected.button_logits)


def test_only_a_plain_training_step_on_a_cpu_goes_fast(batch: Batch) -> None:
    trunk, floats = policy(fast=True).trunk, batch[0]
    assert can_go_fast(trunk, floats)
    assert not can_go_fast(trunk, floats[:100])
    assert not can_go_fast(trunk, floats.double())
    assert not can_go_fast(trunk, floats.to("meta"))
    assert not can_go_fast(trunk, floats.clone().requires_grad_())
    with torch.no_grad():
        assert not can_go_fast(trunk, floats)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not can_go_fast(trunk, floats)


def test_a_value_outside_its_vocabulary_is_no_silent_neighbour(batch: Batch) -> None:
    ints = batch[1].clone()
    ints[0, 0, 1] = 8  # the code of the pair would be that of the next character
    with pytest.raises(IndexError, match="int column 1 holds 0 to 8"):
        policy(fast=True)(batch[0], ints)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expectation(probability: float) -> None:
    torch.manual_seed(0)
    count = 1 << 20
    outputs = relu_dropout(torch.ones(count), probability)
    rounded = round(probability * 65536) / 65536
    assert set(outputs.tolist()) == {0.0, torch.tensor(1 / (1 - rounded)).item()}
    kept = (outputs > 0).double().mean().item()
    assert abs(kept - (1 - rounded)) < 5 * math.sqrt(rounded * (1 - rounded) / count)


def test_dropout_passes_gradients_where_a_value_was_kept_and_positive() -> None:
    torch.manual_seed(0)
    values = torch.randn(101, requires_grad=True)
    outputs = relu_dropout(values, 0.25)
    (gradient,) = torch.autograd.grad(outputs.sum(), values)
    torch.testing.assert_close(gradient, torch.where(outputs > 0, 4 / 3, 0.0))
    assert not bool((outputs[values <= 0] != 0).any())


def test_without_dropout_no_random_number_is_drawn() -> None:
    state = torch.get_rng_state()
    values = torch.randn(5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(relu_dropout(values, 0.0), values.relu())
    assert torch.equal(torch.get_rng_state(), state)


def test_spoiled_values_stay_visible() -> None:
    assert relu_dropout(torch.full((8,), torch.nan), 0.1).isnan().all()
