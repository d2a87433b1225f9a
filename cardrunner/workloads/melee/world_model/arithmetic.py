"""Parameters of a world model from its sizes. Torch-free."""

from __future__ import annotations

from cardrunner.workloads.melee.encoding import EncodingConfig
from cardrunner.workloads.melee.spec_arithmetic import linear
from cardrunner.workloads.melee.spec_sections import GamesData
from cardrunner.workloads.melee.world_model.columns import CONTROLS, outputs
from cardrunner.workloads.melee.world_model.sections import CONV_WIDTH, EXPAND, MAMBA2, WorldModelSection


def world_model_parameters(model: WorldModelSection, data: GamesData) -> int:
    """Trainable parameters: 1,433,602 and 4,282,386 with the usual sizes of FrameStackMLP and Mamba2."""
    encoding = data.encoding.resolved()
    own = _mamba2(model, encoding) if model.architecture == MAMBA2 else _frame_stack(model, encoding)
    return encoding.embedding_parameters + own


def parameter_formula(model: WorldModelSection, data: GamesData) -> str:
    """Which sizes they follow from."""
    width = data.encoding.resolved().frame_width
    if model.architecture == MAMBA2:
        return (
            f"Mamba2 with {width} inputs, d_model {model.d_model}, d_state {model.d_state}, {model.n_layers} layers,"
            f" headdim {model.headdim}"
        )
    return (
        f"{model.architecture} with context_len {model.context_len} x {width} + {CONTROLS} inputs,"
        f" hidden_dim {model.hidden_dim}, trunk_dim {model.trunk_dim}"
    )


def _frame_stack(model: WorldModelSection, encoding: EncodingConfig) -> int:
    inputs, hidden, trunk = model.context_len * encoding.frame_width + CONTROLS, model.hidden_dim, model.trunk_dim
    return linear(inputs, hidden) + linear(hidden, trunk) + linear(trunk, outputs(encoding))


def _mamba2(model: WorldModelSection, encoding: EncodingConfig) -> int:
    width, inner = model.d_model, EXPAND * model.d_model
    convolved, heads = inner + 2 * model.d_state, inner // model.headdim
    projections = width * (inner + convolved + heads) + inner * width
    block = projections + convolved * (CONV_WIDTH + 1) + 3 * heads + inner  # dt_bias, A_log and D; the gated norm
    around = linear(encoding.frame_width, width) + linear(CONTROLS, width) + width  # the final norm
    return around + model.n_layers * (block + width) + linear(width, outputs(encoding))
