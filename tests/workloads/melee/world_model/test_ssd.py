"""The three scans of a Mamba-2 block are one function."""

from __future__ import annotations

import torch
from hypothesis import given, strategies as st
from torch import Tensor

from cardrunner.workloads.melee.world_model.mamba2 import Mamba2Block, scan_in_chunks, scan_last, scan_sequentially
from tests.examples import examples


def inputs(frames: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    x = torch.randn(2, frames, 3, 4, generator=chance, dtype=torch.float64)
    dt = torch.rand(2, frames, 3, generator=chance, dtype=torch.float64) + 0.01
    b, c = (torch.randn(2, frames, 5, generator=chance, dtype=torch.float64) for _ in range(2))
    return x, dt, -torch.rand(3, generator=chance, dtype=torch.float64) * 16, b, c


@examples(40)
@given(frames=st.integers(1, 13), chunk=st.integers(1, 15), seed=st.integers(0, 1000))
def test_chunks_of_any_size_and_the_last_frame_alone_agree_with_the_definition(
    frames: int, chunk: int, seed: int
) -> None:
    x, dt, rate, b, c = inputs(frames, seed)
    expected = scan_sequentially(x, dt, rate, b, c)
    torch.testing.assert_close(scan_in_chunks(x, dt, rate, b, c, chunk=chunk), expected)
    torch.testing.assert_close(scan_last(x, dt, rate, b, c[:, -1]), expected[:, -1:])


def test_no_frame_sees_a_later_one() -> None:
    torch.manual_seed(0)
    block = Mamba2Block(8, d_state=4, headdim=4, chunk_size=4)
    frames = torch.randn(2, 9, 8)
    changed = frames.clone()
    changed[:, 6:] += 1
    with torch.no_grad():
        before, after = block(frames), block(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6], after[:, 6])


def test_the_last_frame_alone_has_the_gradients_of_the_whole() -> None:
    torch.manual_seed(0)
    block = Mamba2Block(8, d_state=4, headdim=4, chunk_size=None).double()
    frames = torch.randn(2, 6, 8, dtype=torch.float64)
    whole = torch.autograd.grad(block(frames)[:, -1].square().sum(), list(block.parameters()))
    last = torch.autograd.grad(block(frames, last_only=True).square().sum(), list(block.parameters()))
    for one, other in zip(whole, last, strict=True):
        torch.testing.assert_close(one, other)


def test_a_fresh_block_steps_between_a_thousandth_and_a_tenth() -> None:
    torch.manual_seed(0)
    block = Mamba2Block(64, d_state=4, headdim=4, chunk_size=None)
    with torch.no_grad():
        steps, rate = torch.nn.functional.softplus(block.dt_bias), block.rate
    assert 0.000999 <= float(steps.min()) <= float(steps.max()) <= 0.1001
    assert -16.001 <= float(rate.min()) <= float(rate.max()) <= -0.999
