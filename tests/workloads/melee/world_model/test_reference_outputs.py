"""Small models with known weights give the known outputs, and are read from checkpoints of every age."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.policy.mlp import PolicyMLP, PolicySizes
from cardrunner.workloads.melee.world_model.columns import CATEGORIES
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Layer, Mamba2Sizes
from cardrunner.workloads.melee.world_model.model_file import load_world_model, read_world_model
from cardrunner.workloads.melee.world_model.prediction import Prediction, WorldModel

VECTORS = Path(__file__).parents[1] / "vectors" / "world_models.pt"
KINDS = ("frame_stack_mlp", "mamba2")
NUMBERS = {
    "continuous": "continuous_delta",
    "velocity": "velocity_delta",
    "dynamics": "dynamics_pred",
    "binary": "binary_logits",
}


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(VECTORS, weights_only=True)
    return loaded


def checkpoint(vectors: dict[str, Any], kind: str, **changes: Any) -> dict[str, Any]:
    encoding = EncodingConfig().model_dump()
    content = {
        "epoch": 0,
        "model_state_dict": dict(vectors[kind]["state_dict"]),
        "optimizer_state_dict": {},
        "val_loss": 0.5,
        "encoding_config": encoding,
        "context_len": 10,
    }
    return {name: value for name, value in {**content, **changes}.items() if value is not None}


def model_of(vectors: dict[str, Any], kind: str) -> WorldModel:
    return read_world_model(checkpoint(vectors, kind), Path("model.pt"))


def predicted(model: WorldModel, vectors: dict[str, Any]) -> Prediction:
    inputs = vectors["inputs"]
    with torch.no_grad():
        prediction: Prediction = model(inputs["float_ctx"], inputs["int_ctx"], inputs["next_ctrl"])
    return prediction


def assert_same(found: Prediction, expected: dict[str, Tensor]) -> None:
    for own, theirs in NUMBERS.items():
        torch.testing.assert_close(getattr(found, own), expected[theirs], atol=1e-5, rtol=0)
    for category, logits in zip(CATEGORIES, found.categories, strict=True):
        for player in (0, 1):
            reference = expected[f"p{player}_{category.name}_logits"]
            torch.testing.assert_close(logits[:, player], reference, atol=1e-5, rtol=0)


def test_the_stacked_frames_give_the_reference_outputs(vectors: dict[str, Any]) -> None:
    assert_same(predicted(model_of(vectors, "frame_stack_mlp"), vectors), vectors["frame_stack_mlp"]["outputs"])


@pytest.mark.parametrize(
    ("chunk", "reference"), [(None, "sequential"), (10, "chunk_10"), (5, "chunk_5"), (4, "sequential"), (1, "chunk_5")]
)
def test_every_scan_gives_the_reference_outputs(vectors: dict[str, Any], chunk: int | None, reference: str) -> None:
    model = model_of(vectors, "mamba2")
    assert isinstance(model, Mamba2)
    for layer in model.layers:
        assert isinstance(layer, Mamba2Layer)
        layer.mamba.chunk_size = chunk
    assert_same(predicted(model, vectors), vectors["mamba2"]["outputs"][reference])


def test_the_usual_sizes_have_the_known_parameters() -> None:
    models = (FrameStackMLP(FrameStackSizes(context_len=10)), Mamba2(Mamba2Sizes(context_len=10)))
    assert [sum(each.numel() for each in model.parameters()) for model in models] == [1433602, 4282386]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_keep_the_names_and_order_of_existing_checkpoints(vectors: dict[str, Any], kind: str) -> None:
    model = model_of(vectors, kind)
    assert list(model.state_dict()) == list(vectors[kind]["state_dict"])


def test_sizes_are_read_off_the_weights(vectors: dict[str, Any]) -> None:
    stacked, mamba = (model_of(vectors, kind) for kind in KINDS)
    assert isinstance(stacked, FrameStackMLP)
    assert isinstance(mamba, Mamba2)
    assert stacked.sizes == FrameStackSizes(context_len=10, hidden_dim=24, trunk_dim=12)
    assert mamba.sizes == Mamba2Sizes(context_len=10, d_model=32, d_state=8, n_layers=2, headdim=16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_very_old_checkpoint_keeps_its_encoding_in_its_config(vectors: dict[str, Any], kind: str) -> None:
    old = {"xy_scale": 0.05, "action_vocab": 400, "hidden_dim": 24, "context_len": 10}
    content = checkpoint(vectors, kind, encoding_config=None, context_len=None, config=old)
    assert read_world_model(content, Path("old.pt"), EncodingConfig()).context_len == 10


def spoilt(vectors: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    content = checkpoint(vectors, kind)
    weights: dict[str, Tensor] = content["model_state_dict"]
    match name:
        case "missing":
            del weights["velocity_head.weight"]
        case "foreign":
            weights["vision.weight"] = torch.zeros(2)
        case "shape":
            weights["p1_action_head.bias"] = torch.zeros(390)
        case "nan":
            weights["binary_head.bias"] = torch.full((6,), torch.nan)
        case "no encoding":
            del content["encoding_config"]
        case "no context":
            del content["context_len"]
        case "wrong context":
            content["context_len"] = 9
        case "other scale":
            content["encoding_config"]["xy_scale"] = 0.1
        case "unknown field":
            content["encoding_config"]["colour"] = 1
        case "wide frames":
            weights["frame_proj.weight"] = torch.zeros(32, 284)
        case "odd heads":
            weights["layers.0.mamba.A_log"] = torch.zeros(7)
        case "not weights":
            content["model_state_dict"] = [1, 2]
        case "policy":
            content["model_state_dict"] = PolicyMLP(PolicySizes(context_len=2, hidden_dim=3, trunk_dim=3)).state_dict()
    return content


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("mamba2", "missing", "it lacks velocity_head.weight; these are not the weights of a Mamba2 world model"),
        ("frame_stack_mlp", "foreign", "has vision.weight, which a FrameStackMLP world model lacks"),
        ("mamba2", "shape", r"p1_action_head.bias has shape \(390,\), expected \(400,\)"),
        ("mamba2", "nan", "binary_head.bias holds NaN or infinite values"),
        ("mamba2", "no encoding", "it has no encoding_config, so the encoding of its frames is unknown"),
        ("mamba2", "no context", "its context_len is nothing, expected the number of frames it was trained on"),
        ("frame_stack_mlp", "wrong context", "takes 1960 numbers of frames, which is not context_len 9 frames"),
        ("mamba2", "other scale", "another encoding .xy_scale: 0.1 against 0.05 in the data."),
        ("mamba2", "unknown field", "encoding_config.colour: Extra inputs are not permitted"),
        ("mamba2", "wide frames", "projectiles, state_flags, hitstun on"),
        ("mamba2", "odd heads", "has 80 channels and 7 heads, which no Mamba2 with d_model 32 has"),
        ("mamba2", "not weights", "it has no model_state_dict; this is not a world model's checkpoint"),
        ("mamba2", "policy", "it is not a world model: these are a policy's weights"),
    ],
)
def test_a_checkpoint_that_cannot_play_is_refused_with_its_reason(
    vectors: dict[str, Any], kind: str, name: str, sentence: str
) -> None:
    with pytest.raises(IntegrityError, match=sentence) as caught:
        read_world_model(spoilt(vectors, kind, name), Path("model.pt"), EncodingConfig())
    assert str(caught.value).startswith("model.pt: ")


def test_a_file_that_is_not_there_or_holds_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="there is no such checkpoint"):
        load_world_model(tmp_path / "none.pt")
    torch.save({"model_state_dict": Path("x")}, tmp_path / "code.pt")
    with pytest.raises(IntegrityError, match="holds objects other than tensors, numbers and text"):
        load_world_model(tmp_path / "code.pt")
