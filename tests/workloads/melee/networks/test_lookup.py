from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from cardrunner.workloads.melee.networks.frame_embedding import look_up


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 2), (0,)])
def test_it_is_an_embedding_with_the_same_gradient(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(7, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    codes = torch.randint(7, shape, generator=generator)
    pull = torch.randn(*shape, 3, dtype=torch.float64, generator=generator)
    plain, found = functional.embedding(codes, table), look_up(table, codes)
    assert torch.equal(found, plain)
    (expected,), (own,) = (torch.autograd.grad(values, table, pull) for values in (plain, found))
    torch.testing.assert_close(own, expected, rtol=1e-12, atol=1e-12)
