"""The contract of every architecture of a policy, those of installed packages included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cardrunner.workloads.melee.encoding.layout import PlayerIndex
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.policy.agent import WindowAgent
from cardrunner.workloads.melee.policy.contract import contract_faults
from cardrunner.workloads.melee.policy.mlp import Controls
from cardrunner.workloads.melee.policy.models import (
    MODELS,
    PolicyArchitecture,
    model_named,
    model_names,
    model_of_type,
)
from cardrunner.workloads.melee.policy.sections import PolicyModel

ENCODING = EncodingConfig()
SIZES: dict[str, Any] = {"context_len": 3, "hidden_dim": 6, "trunk_dim": 5}


def section(architecture: str) -> PolicyModel:
    return PolicyModel.model_construct(architecture=architecture, **SIZES)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("name", model_names())
def test_an_architecture_is_counted_as_built_read_again_and_plays_as_it_answers(name: str) -> None:
    architecture = model_named(name)
    assert list(contract_faults(architecture, section(name), ENCODING)) == []
    assert model_of_type(architecture.model_type) is architecture
    assert architecture.about
    assert name in architecture.formula(section(name), ENCODING)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_its_usual_sizes_are_counted_too(name: str) -> None:
    usual = PolicyModel.model_construct(architecture=name)
    module = MODELS[name].build(usual, ENCODING)
    assert sum(weights.numel() for weights in module.parameters()) == MODELS[name].parameters(usual, ENCODING)


class _Linear(nn.Module):
    """One linear layer over the floats of the last frame."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(56, 13)

    def forward(self, float_ctx: Tensor, int_ctx: Tensor) -> Controls:
        outputs = self.layer(float_ctx[:, -1])
        return Controls(torch.sigmoid(outputs[:, :5]), outputs[:, 5:])


class _LastFrame(PolicyArchitecture):
    """Holds the contract with the defaults alone."""

    name = "LastFrame"
    about = "LastFrame"
    sizes = ()

    def parameters(self, model: PolicyModel, encoding: EncodingConfig) -> int:
        return 57 * 13

    def build(self, model: PolicyModel, encoding: EncodingConfig) -> nn.Module:
        return _Linear()


def faults(architecture: PolicyArchitecture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr("cardrunner.workloads.melee.policy.models.MODELS", {**MODELS, architecture.name: architecture})
    return list(contract_faults(architecture, section(architecture.name), ENCODING))


def test_the_defaults_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(_LastFrame(), monkeypatch) == []


def test_a_wrong_count_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Miscounted(_LastFrame):
        def parameters(self, model: PolicyModel, encoding: EncodingConfig) -> int:
            return 740

    assert faults(Miscounted(), monkeypatch) == ["build makes 741 trainable parameters, and parameters counts 740"]


def test_a_checkpoint_that_does_not_tell_its_sizes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(_LastFrame):
        def config(self, model: PolicyModel) -> dict[str, str]:
            return {"model_type": self.name}

    assert faults(Forgetful(), monkeypatch) == [
        "its own checkpoint cannot be read again: best.pt: its config says nothing for context_len, expected a"
        " positive whole number"
    ]


def test_a_checkpoint_under_another_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Masked(_LastFrame):
        def config(self, model: PolicyModel) -> dict[str, object]:
            return {"model_type": "somebody_else", "context_len": 3}

    (fault,) = faults(Masked(), monkeypatch)
    assert fault.startswith("its own checkpoint cannot be read again: best.pt: it is a checkpoint of the model type")


def test_an_answer_that_is_no_controller_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wide(_Linear):
        def forward(self, float_ctx: Tensor, int_ctx: Tensor) -> Controls:
            outputs = self.layer(float_ctx[:, -1])
            return Controls(torch.sigmoid(outputs), outputs)

    class TooWide(_LastFrame):
        def build(self, model: PolicyModel, encoding: EncodingConfig) -> nn.Module:
            return Wide()

    expected = "its module answers with ((1, 13), (1, 13)) for one example, expected (1, 5), (1, 8)"
    assert set(faults(TooWide(), monkeypatch)) == {expected}


def test_an_agent_that_plays_otherwise_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Swapped(_LastFrame):
        def agent(self, module: nn.Module, model: PolicyModel, player: PlayerIndex) -> WindowAgent:
            return WindowAgent(module, model.context_len, 1 if player == 0 else 0)

    assert [fault.partition("presses")[0] for fault in faults(Swapped(), monkeypatch)] == ["its agent "] * 2
