"""The scan of a Mamba-2 block, three ways: frame by frame, in chunks by matrix products, and its last frame alone.

The block is the structured state-space duality of Dao and Gu, "Transformers are SSMs" (2024), with one group. For each
head, with the state h (P x N), a_t = dt_t A and zero state before the first frame:

    h_t = exp(a_t) h_{t-1} + dt_t x_t B_t^T        y_t = h_t C_t

Shapes:
    B  examples    T  frames    H  heads    P  numbers per head    N  numbers of state    C  frames of a chunk
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
