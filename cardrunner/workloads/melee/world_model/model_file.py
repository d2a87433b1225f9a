"""World-model checkpoints of the existing format, and model sizes from their weights.

Keys: ``epoch, model_state_dict, optimizer_state_dict, val_loss, encoding_config, context_len``. Very old ones keep
the encoding's fields and ``context_len`` in ``config``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from cardrunner.errors import IntegrityError
from cardrunner.workloads.melee.encoding.layout import INTS
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.networks.checkpoint_file import check_weights, load_file, weights_of
from cardrunner.workloads.melee.world_model.columns import CONTROLS
from cardrunner.workloads.melee.world_model.frame_stack_mlp import FrameStackMLP, FrameStackSizes
from cardrunner.workloads.melee.world_model.mamba2 import Mamba2, Mamba2Sizes
from cardrunner.workloads.melee.world_model.prediction import WorldModel
from cardrunner.workloads.melee.world_model.sections import EXPAND

_LAYER: Final = re.compile(r"layers\.(\d+)\.")
_MOST_FRAMES: Final = 10_000
ENCODING_KEY, CONTEXT_KEY = "encoding_config", "context_len"


def load_world_model(path: Path, encoding: EncodingConfig | None = None) -> WorldModel:
    """The world model of a checkpoint, on the CPU and ready to play.

    Args:
        encoding: how the frames it will see are encoded; None: as the checkpoint says.

    Raises:
        EnvironmentFailed: the file is absent or cannot be read.
        IntegrityError: it is not a world model's checkpoint, or it is one of another encoding.
    """
    return read_world_model(load_file(path), path, encoding)


def read_world_model(checkpoint: Any, path: Path, encoding: EncodingConfig | None = None) -> WorldModel:
    """The world model of a loaded checkpoint; raises as `load_world_model`.

    Args:
        checkpoint: the content from `load_file`.
        path: for messages.
    """
    try:
        weights = weights_of(checkpoint, "a world model's checkpoint")
        _check_kind(weights)
        model = _fresh(weights, _stored(checkpoint))
        check_weights(weights, model.state_dict(), f"a {model.architecture} world model")
        if encoding is not None and (differences := model.encoding.differences(encoding)):
            text = "; ".join(f"{each} in the data" for each in differences)
            raise IntegrityError(
                f"it was trained on frames with another encoding ({text}); give data with the same encoding"
            )
    except IntegrityError as error:
        raise IntegrityError(f"{path}: {error}") from None
    model.load_state_dict(dict(weights))
    return model.eval()


def _stored(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields beside the weights: at the top level, or in ``config``."""
    config = checkpoint.get("config")
    old = config if isinstance(config, dict) else {}
    encoding = checkpoint.get(ENCODING_KEY, old.get(ENCODING_KEY))
    if encoding is None:
        encoding = {name: old[name] for name in EncodingConfig.model_fields if name in old}
    if not isinstance(encoding, dict) or not encoding:
        raise IntegrityError(f"it has no {ENCODING_KEY}, so the encoding of its frames is unknown")
    return {ENCODING_KEY: encoding, CONTEXT_KEY: checkpoint.get(CONTEXT_KEY, old.get(CONTEXT_KEY))}


def _check_kind(weights: Mapping[str, Tensor]) -> None:
    if "frame_proj.weight" in weights or {"trunk.0.weight", "continuous_head.weight"} <= weights.keys():
        return
    what = "these are a policy's weights" if "analog_head.weight" in weights else "its weights are of an unknown kind"
    raise IntegrityError(f"it is not a world model: {what}; give the checkpoint of a FrameStackMLP or a Mamba2")


def _fresh(weights: Mapping[str, Tensor], stored: Mapping[str, Any]) -> WorldModel:
    """A model of the sizes of these weights."""
    context_len = _context_len(stored[CONTEXT_KEY])
    if "frame_proj.weight" in weights:
        encoding = _encoding(stored[ENCODING_KEY], _matrix(weights, "frame_proj.weight").shape[1])
        return Mamba2(mamba2_sizes(weights, context_len), encoding=encoding)
    inputs = _matrix(weights, "trunk.0.weight").shape[1] - CONTROLS
    width, rest = divmod(inputs, context_len)
    if rest:
        raise IntegrityError(
            f"trunk.0.weight takes {inputs} numbers of frames, which is not {CONTEXT_KEY} {context_len} frames of"
            " equal width; one of the two is wrong"
        )
    return FrameStackMLP(frame_stack_sizes(weights, context_len), encoding=_encoding(stored[ENCODING_KEY], width))


def frame_stack_sizes(weights: Mapping[str, Tensor], context_len: int) -> FrameStackSizes:
    """Sizes of a FrameStackMLP from its weights."""
    hidden, trunk = _matrix(weights, "trunk.0.weight"), _matrix(weights, "trunk.3.weight")
    return FrameStackSizes(context_len=context_len, hidden_dim=hidden.shape[0], trunk_dim=trunk.shape[0])


def mamba2_sizes(weights: Mapping[str, Tensor], context_len: int) -> Mamba2Sizes:
    """Sizes of a Mamba2 from its weights.

    Raises:
        IntegrityError: they do not match each other.
    """
    d_model = _matrix(weights, "frame_proj.weight").shape[0]
    layers = {int(match[1]) for name in weights if (match := _LAYER.match(name))}
    heads, convolved = (weights.get(f"layers.0.mamba.{name}") for name in ("A_log", "conv1d.weight"))
    if heads is None or convolved is None or heads.dim() != 1 or convolved.dim() != 3:
        raise IntegrityError("it lacks layers.0.mamba.A_log and conv1d; these are not the weights of a Mamba2")
    d_inner = EXPAND * d_model
    state, odd = divmod(convolved.shape[0] - d_inner, 2)
    if odd or state < 1 or not len(heads) or d_inner % len(heads):
        raise IntegrityError(
            f"layers.0.mamba has {convolved.shape[0]} channels and {len(heads)} heads, which no Mamba2 with d_model"
            f" {d_model} has"
        )
    return Mamba2Sizes(
        context_len=context_len,
        d_model=d_model,
        d_state=state,
        n_layers=len(layers),
        headdim=d_inner // len(heads),
        chunk_size=context_len,
    )


def _matrix(weights: Mapping[str, Tensor], name: str) -> Tensor:
    found = weights.get(name)
    if found is None or found.dim() != 2 or not found.numel():
        raise IntegrityError(f"it lacks a matrix {name}; these are not the weights of a world model")
    return found


def _context_len(value: object) -> int:
    if type(value) is not int or not 1 <= value <= _MOST_FRAMES:
        shown = "nothing" if value is None else repr(value)[:40]
        raise IntegrityError(f"its {CONTEXT_KEY} is {shown}, expected the number of frames it was trained on")
    return value


def _encoding(stored: Mapping[str, object], width: int) -> EncodingConfig:
    """The encoding, its gaps filled so that a frame is `width` numbers.

    Raises:
        IntegrityError: the gaps cannot be filled, or a field is unknown.
    """
    usual = EncodingConfig()
    floats = width - (usual.frame_width - usual.floats)
    return EncodingConfig.from_file_dict(stored, floats=floats, ints=INTS)
