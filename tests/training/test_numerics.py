"""Random numbers that can be taken up again, and settings that are put back."""

from __future__ import annotations

import io
import random

import numpy as np
import torch

from cardrunner.training.numerics import random_state, restore_random_state, seed_everything


def draws() -> tuple[float, float, float, float]:
    return float(torch.rand(1)), float(np.random.rand()), random.random(), float(np.random.normal())


def test_every_generator_goes_on_where_its_state_was_taken() -> None:
    seed_everything(5)
    draws()
    buffer = io.BytesIO()
    torch.save(random_state(), buffer)
    expected = [draws() for _ in range(3)]
    seed_everything(6)
    buffer.seek(0)
    restore_random_state(torch.load(buffer, weights_only=True))
    assert [draws() for _ in range(3)] == expected


def test_a_seed_decides_every_generator() -> None:
    seed_everything(5)
    first = draws()
    seed_everything(5)
    assert draws() == first
