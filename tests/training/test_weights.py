"""Naming weights by their content."""

from __future__ import annotations

import hashlib
import struct

import pytest
import torch
from torch import nn

from cardrunner.training.state import all_finite, difference, on_cpu, parameter_count, weights_sha256


def test_the_digest_is_the_documented_one() -> None:
    weights = {"b": torch.tensor(3, dtype=torch.int64), "a.w": torch.tensor([[1.0, 2.0]])}
    by_hand = b"a.w\0float32\x001,2\0" + struct.pack("<2f", 1, 2) + b"b\0int64\0\0" + struct.pack("<q", 3)
    assert weights_sha256(weights) == hashlib.sha256(by_hand).hexdigest()


def test_the_digest_sees_every_bit_and_not_the_layout_in_memory() -> None:
    square = torch.arange(6.0).reshape(2, 3)
    assert weights_sha256({"w": square}) == weights_sha256({"w": square.T.contiguous().T})
    assert weights_sha256({"w": square}) != weights_sha256({"w": square.reshape(3, 2)})
    assert weights_sha256({"w": torch.zeros(1)}) != weights_sha256({"w": -torch.zeros(1)})
    assert weights_sha256({"w": square}) != weights_sha256({"w": square.double()})
    assert weights_sha256({"w": square}) != weights_sha256({"v": square})


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.bool, torch.int8])
def test_every_kind_of_tensor_has_a_digest(kind: torch.dtype) -> None:
    assert len(weights_sha256({"w": torch.ones(3, dtype=kind), "empty": torch.ones(0, dtype=kind)})) == 64


def test_a_difference_names_the_first_tensor_that_does_not_fit() -> None:
    model = nn.Linear(2, 3).state_dict()
    assert difference(model, model) is None
    assert difference({"weight": model["weight"]}, model) == "it has no bias"
    assert difference({**model, "more": torch.zeros(1)}, model) == "it has more, which the model lacks"
    assert (
        difference({**model, "bias": torch.zeros(4)}, model) == "bias is float32 (4,) where the model has float32 (3,)"
    )
    assert "float64" in str(difference({**model, "bias": torch.zeros(3).double()}, model))


def test_spoiled_weights_are_noticed() -> None:
    model = nn.Linear(2, 3)
    assert all_finite(model)
    with torch.no_grad():
        model.bias[1] = torch.nan
    assert not all_finite(model)


def test_parameters_are_those_that_learn() -> None:
    model = nn.Linear(2, 3)
    assert parameter_count(model) == 9
    model.bias.requires_grad_(False)
    assert parameter_count(model) == 6


def test_a_nest_comes_to_the_cpu_without_its_graph() -> None:
    nest = on_cpu({"a": [nn.Parameter(torch.ones(1))], "b": 1, "c": None})
    assert nest == {"a": [torch.ones(1)], "b": 1, "c": None}
    assert not nest["a"][0].requires_grad
