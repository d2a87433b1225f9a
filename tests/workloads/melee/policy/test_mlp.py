from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.encoding.windows import swap_floats, swap_ints
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes, sizes_of
from cardrunner.workloads.melee.policy.model_file import load_policy, read_policy

VECTORS = Path(__file__).parents[1] / "vectors" / "policy_mlp.pt"
SMALL = PolicySizes(context_len=2, hidden_dim=4, trunk_dim=3)


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(VECTORS, weights_only=True)
    return loaded


def small_weights() -> dict[str, Tensor]:
    return dict(PolicyMLP(SMALL).state_dict())


def test_the_card_sizes_give_the_card_parameters() -> None:
    model = PolicyMLP(PolicySizes(context_len=10, hidden_dim=512, trunk_dim=256))
    assert sum(weights.numel() for weights in model.parameters()) == 1153781


def test_reference_outputs_come_out_for_both_slots(vectors: dict[str, Any]) -> None:
    model = read_policy({"model_state_dict": vectors["state_dict"]}, Path("best.pt")).module
    floats, ints = vectors["float_ctx"], vectors["int_ctx"]
    for slot, context in {"p0": (floats, ints), "p1": (swap_floats(floats), swap_ints(ints))}.items():
        with torch.no_grad():
            controls = model(*context)
        expected = vectors["outputs"][slot]
        torch.testing.assert_close(controls.analog, expected["analog_pred"], atol=1e-5, rtol=0)
        torch.testing.assert_close(controls.button_logits, expected["button_logits"], atol=1e-5, rtol=0)


def test_weights_keep_the_names_and_order_of_existing_checkpoints(vectors: dict[str, Any]) -> None:
    assert list(PolicyMLP(SMALL).state_dict()) == list(vectors["state_dict"])


def test_sizes_are_read_off_the_weights(vectors: dict[str, Any]) -> None:
    assert sizes_of(vectors["state_dict"], EncodingConfig()) == PolicySizes(context_len=10, hidden_dim=24, trunk_dim=12)


def test_embeddings_follow_the_int_columns_of_the_layout() -> None:
    model, encoding = PolicyMLP(SMALL), EncodingConfig()
    ints = torch.stack([torch.arange(17) % 3, torch.arange(17) % 2])[None]
    vector = model.frame_vectors(torch.zeros(1, 2, 56), ints)[0, 1, 56:]
    start = 0
    for player in (0, 1):
        for column, table in enumerate(encoding.player_embeddings):
            weights = model.state_dict()[f"{table.name}_embed.weight"]
            torch.testing.assert_close(vector[start : start + table.dim], weights[ints[0, 1, player * 8 + column]])
            start += table.dim
    torch.testing.assert_close(vector[start:], model.stage_embed.weight[ints[0, 1, 16]])


def spoil(name: str) -> dict[str, Tensor]:
    weights = small_weights()
    if name == "missing":
        del weights["action_embed.weight"]
    elif name == "foreign":
        weights["ctrl_proj.weight"] = torch.zeros(2)
    elif name == "width":
        weights["trunk.0.weight"] = torch.zeros(4, 2 * 284)
    elif name == "shape":
        weights["button_head.bias"] = torch.zeros(9)
    elif name == "nan":
        weights["button_head.bias"] = torch.full((8,), torch.nan)
    else:
        del weights["trunk.3.weight"]
    return weights


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("missing", "lacks action_embed.weight"),
        ("foreign", "has ctrl_proj.weight, which a PolicyMLP lacks"),
        ("width", "takes 568 inputs, which is not a multiple of this encoding's 196 numbers per frame"),
        ("shape", r"button_head.bias has shape \(9,\), expected \(8,\)"),
        ("nan", "button_head.bias holds NaN"),
        ("no trunk", "these are not the weights of a PolicyMLP"),
    ],
)
def test_weights_of_another_model_are_refused(fault: str, sentence: str) -> None:
    with pytest.raises(IntegrityError, match=sentence):
        read_policy({"model_state_dict": spoil(fault)}, Path("best.pt"))


def test_an_existing_checkpoint_loads_and_is_ready_to_play(tmp_path: Path) -> None:
    config = {"context_len": 2, "model_type": "policy_mlp"}
    torch.save(
        {"epoch": 0, "model_state_dict": small_weights(), "val_loss": 0.1, "config": config}, tmp_path / "best.pt"
    )
    trained = load_policy(tmp_path / "best.pt")
    assert isinstance(trained.module, PolicyMLP)
    assert trained.module.sizes == SMALL
    assert not trained.module.training


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a readable checkpoint"),
        (b"PK\x03\x04 half a file", "not a readable checkpoint"),
        ({"weights": 1}, "it has no model_state_dict"),
        ({"model_state_dict": {}, "config": {"model_type": "frame_stack_mlp"}}, "model type 'frame_stack_mlp'"),
    ],
)
def test_a_file_that_is_no_policy_is_named(tmp_path: Path, content: object, sentence: str) -> None:
    path = tmp_path / "best.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(IntegrityError, match=sentence) as caught:
        load_policy(path)
    assert str(path) in str(caught.value)


def test_an_absent_checkpoint_is_the_environment_s_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="no such checkpoint"):
        load_policy(tmp_path / "best.pt")
