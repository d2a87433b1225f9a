"""Mamba-2 as a world model: each of K frames is projected, passed through the blocks, and the last one is read.

A block is the structured state-space duality of Dao and Gu, "Transformers are SSMs" (2024), with one group. For each
head, with the state h (P x N), a_t = dt_t A and zero state before the first frame:

    h_t = exp(a_t) h_{t-1} + dt_t x_t B_t^T        y_t = h_t C_t

Its scan is computed in three ways: frame by frame, in chunks by matrix products, and its last frame alone.

Shapes:
    B  examples    T  frames    H  heads    P  numbers per head    N  numbers of state    C  frames of a chunk
    K  frames of context
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.world_model.columns import CONTROLS
from cardrunner.workloads.melee.world_model.prediction import WorldModel
from cardrunner.workloads.melee.world_model.sections import CONV_WIDTH, EXPAND

EPSILON: Final = 1e-5
_SHORTEST_STEP, _LONGEST_STEP = 0.001, 0.1  # dt at the start, as in the paper's code
_SLOWEST, _FASTEST = 1.0, 16.0  # -A at the start, likewise


class RMSNorm(nn.Module):
    """``weight * x / rms(x)`` over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return functional.rms_norm(x, self.weight.shape, self.weight, EPSILON)


class Mamba2Block(nn.Module):
    """One block, without the residual around it.

    Args:
        d_model: D.
        d_state: N.
        headdim: numbers per head; I is a multiple of it.
        chunk_size: frames per chunk of the scan; None: frame by frame.
    """

    def __init__(self, d_model: int, *, d_state: int, headdim: int, chunk_size: int | None) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.headdim, self.chunk_size = EXPAND * d_model, d_state, headdim, chunk_size
        heads, convolved = self.d_inner // headdim, self.d_inner + 2 * d_state
        step = torch.exp(torch.empty(heads).uniform_(math.log(_SHORTEST_STEP), math.log(_LONGEST_STEP)))
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus turns it into the step again
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(_SLOWEST, _FASTEST).log())
        self.D = nn.Parameter(torch.ones(heads))
        self.in_proj = nn.Linear(d_model, self.d_inner + convolved + heads, bias=False)
        self.conv1d = nn.Conv1d(convolved, convolved, CONV_WIDTH, groups=convolved, padding=CONV_WIDTH - 1)
        self.norm = RMSNorm(self.d_inner)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=False)

    def forward(self, u: Tensor, *, last_only: bool = False) -> Tensor:
        """(B, T, D) to (B, T, D), starting from a zero state.

        Args:
            u: the frames.
            last_only: compute only the last frame, (B, 1, D), for about half the work.
        """
        own = u[:, -1:] if last_only else u
        into_gate, into_scan = torch.split(self.in_proj.weight, [self.d_inner, len(self.in_proj.weight) - self.d_inner])
        z, scanned = functional.linear(own, into_gate), functional.linear(u, into_scan)
        convolved, dt = torch.split(scanned, [self.d_inner + 2 * self.d_state, len(self.A_log)], -1)
        convolved = functional.silu(self._convolve(convolved))
        x, b, c = torch.split(convolved, [self.d_inner, self.d_state, self.d_state], -1)
        x = x.reshape(*x.shape[:2], -1, self.headdim)
        dt = functional.softplus(dt + self.dt_bias)
        if last_only:
            y = scan_last(x, dt, self.rate, b, c[:, -1]) + x[:, -1:] * self.D[:, None]
        else:
            y = self._scan(x, dt, b, c) + x * self.D[:, None]
        output: Tensor = self.out_proj(self.norm(y.flatten(2) * functional.silu(z)))
        return output

    @property
    def conv_bias(self) -> Tensor:
        """Of each channel: (S,)."""
        return self.get_parameter("conv1d.bias")

    @property
    def rate(self) -> Tensor:
        """A of each head, negative: (H,)."""
        return -torch.exp(self.A_log)

    def _convolve(self, x: Tensor) -> Tensor:
        """The causal convolution over time, (B, T, S) to (B, T, S); each channel has four weights of its own."""
        weights, frames = self.conv1d.weight[:, 0].t().contiguous(), x.shape[1]
        padded = functional.pad(x, (0, 0, CONV_WIDTH - 1, 0))
        total = self.conv_bias + padded[:, CONV_WIDTH - 1 :] * weights[-1]
        for place in range(CONV_WIDTH - 1):
            total = torch.addcmul(total, padded[:, place : place + frames], weights[place])
        return total

    def _scan(self, x: Tensor, dt: Tensor, b: Tensor, c: Tensor) -> Tensor:
        if self.chunk_size is None:
            return scan_sequentially(x, dt, self.rate, b, c)
        return scan_in_chunks(x, dt, self.rate, b, c, chunk=min(self.chunk_size, x.shape[1]))


@dataclass(frozen=True, kw_only=True)
class Mamba2Sizes:
    """Sizes of the model beyond those of the encoding. The weights do not determine `context_len` and `chunk_size`."""

    context_len: int
    d_model: int = 384
    d_state: int = 64
    n_layers: int = 4
    headdim: int = 64
    chunk_size: int | None = 10
    """Frames per chunk of the scan; None: frame by frame. It changes the speed, not the function."""


class Mamba2Layer(nn.Module):
    """``x + mamba(norm(x))``."""

    def __init__(self, sizes: Mamba2Sizes) -> None:
        super().__init__()
        self.mamba = Mamba2Block(
            sizes.d_model, d_state=sizes.d_state, headdim=sizes.headdim, chunk_size=sizes.chunk_size
        )
        self.norm = RMSNorm(sizes.d_model)

    def forward(self, x: Tensor, *, last_only: bool = False) -> Tensor:
        """(B, K, D) to (B, K, D), or to (B, 1, D) for the last frame alone."""
        own = x[:, -1:] if last_only else x
        return own + cast("Tensor", self.mamba(self.norm(x), last_only=last_only))


class Mamba2(WorldModel):
    """4,282,386 parameters with the default sizes.

    Args:
        sizes: of the blocks, see `Mamba2Sizes`.
        dropout: of the projected frames, in training only.
        encoding: vocabularies and embedding widths.
    """

    architecture: ClassVar[str] = "Mamba2"

    def __init__(self, sizes: Mamba2Sizes, *, dropout: float = 0.1, encoding: EncodingConfig | None = None) -> None:
        super().__init__(encoding)
        self.sizes, self.context_len = sizes, sizes.context_len
        self.frame_proj = nn.Linear(self.encoding.frame_width, sizes.d_model)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Mamba2Layer(sizes) for _ in range(sizes.n_layers))
        self.final_norm = RMSNorm(sizes.d_model)
        self.ctrl_proj = nn.Linear(CONTROLS, sizes.d_model)
        self.add_heads(sizes.d_model)

    def trunk_output(self, float_ctx: Tensor, int_ctx: Tensor, next_ctrl: Tensor) -> Tensor:
        """(B, D)."""
        x = self.dropout(self.frame_proj(self.frame_vectors(float_ctx, int_ctx)))
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x, last_only=number == len(self.layers))
        output: Tensor = self.final_norm(x[:, -1]) + self.ctrl_proj(next_ctrl)
        return output


def scan_sequentially(x: Tensor, dt: Tensor, a_rate: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The definition, frame after frame.

    Args:
        x: (B, T, H, P).
        dt: (B, T, H), positive.
        a_rate: (H,), A of each head, negative.
        b: (B, T, N).
        c: (B, T, N).

    Returns:
        y (B, T, H, P), without the skip D x.
    """
    decay = torch.exp(dt * a_rate)
    inputs = x * dt[..., None]
    state = x.new_zeros(*x.shape[:1], *x.shape[2:], b.shape[-1])
    outputs = []
    for t in range(x.shape[1]):
        state = state * decay[:, t, :, None, None] + inputs[:, t, ..., None] * b[:, t, None, None]
        outputs.append(torch.einsum("bhpn,bn->bhp", state, c[:, t]))
    return torch.stack(outputs, 1)


def scan_in_chunks(x: Tensor, dt: Tensor, a_rate: Tensor, b: Tensor, c: Tensor, *, chunk: int) -> Tensor:
    """The same by matrix products within chunks; only one state per chunk is carried on.

    Args:
        chunk: C; the last chunk is padded with frames that have no effect.
    """
    frames = x.shape[1]
    missing = -frames % chunk
    if missing:
        x, dt, b, c = (_filled(part, missing) for part in (x, dt, b, c))
    log_decay = _chunks(dt * a_rate, chunk).cumsum(2)  # (B, T / C, C, H), within each chunk
    inputs, b, c = _chunks(x * dt[..., None], chunk), _chunks(b, chunk), _chunks(c, chunk)
    y = _within(inputs, log_decay, b, c)
    if y.shape[1] > 1:
        y = y + _from_before(inputs, log_decay, b, c)
    return y.flatten(1, 2)[:, :frames]


def scan_last(x: Tensor, dt: Tensor, a_rate: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The output of the last frame alone, as one weighted sum over all frames.

    Args:
        c: (B, N), of the last frame.

    Returns:
        (B, 1, H, P).
    """
    log_decay = (dt * a_rate).cumsum(1)  # (B, T, H)
    left = torch.exp(log_decay[:, -1:] - log_decay)
    weights = left * dt * (b @ c[..., None])
    return torch.einsum("bth,bthp->bhp", weights, x)[:, None]


def _chunks(part: Tensor, chunk: int) -> Tensor:
    """(B, T, ...) to (B, T / C, C, ...)."""
    return part.reshape(len(part), -1, chunk, *part.shape[2:])


def _filled(part: Tensor, missing: int) -> Tensor:
    return functional.pad(part, (*(0, 0) * (part.dim() - 2), 0, missing))


def _within(inputs: Tensor, log_decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Contributions to the frames of a chunk from the same chunk."""
    chunk = inputs.shape[2]
    scores = c @ b.transpose(-1, -2)  # (B, T / C, C, C)
    by_head = log_decay.transpose(2, 3)  # (B, T / C, H, C)
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=inputs.device).triu(1)
    passed = (by_head[..., :, None] - by_head[..., None, :]).masked_fill(later, -torch.inf)
    weights = torch.exp(passed) * scores[:, :, None]  # (B, T / C, H, C, C)
    return (weights @ inputs.transpose(2, 3)).transpose(2, 3)


def _from_before(inputs: Tensor, log_decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Contributions from the chunks before."""
    whole = log_decay[:, :, -1]  # (B, T / C, H)
    left = torch.exp(whole[:, :, None] - log_decay)
    made = torch.einsum("bzchp,bzch,bzcn->bzhpn", inputs, left, b)
    state = torch.zeros_like(made[:, 0])
    states = []
    for number in range(made.shape[1]):
        states.append(state)
        state = state * torch.exp(whole[:, number])[..., None, None] + made[:, number]
    return torch.einsum("bzcn,bzhpn,bzch->bzchp", c, torch.stack(states, 1), torch.exp(log_decay))
