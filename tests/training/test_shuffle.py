from __future__ import annotations

from typing import Literal

import pytest

from cardrunner.training.order import RESERVE, choose_shuffle, describe_shuffle, machine_memory

GB = 10**9


@pytest.mark.parametrize(
    ("wanted", "data", "memory", "chosen"),
    [
        ("auto", 74 * GB, 16 * GB, "block"),
        ("auto", 10 * GB, 16 * GB, "full"),
        ("auto", 16 * GB - RESERVE, 16 * GB, "full"),
        ("auto", 16 * GB - RESERVE + 1, 16 * GB, "block"),
        ("full", 74 * GB, 16 * GB, "full"),
        ("block", 1, 16 * GB, "block"),
    ],
)
def test_what_does_not_fit_into_memory_is_shuffled_in_blocks(
    wanted: Literal["auto", "full", "block"], data: int, memory: int, chosen: str
) -> None:
    assert choose_shuffle(wanted, data_bytes=data, memory_bytes=memory) == chosen


def test_the_mode_has_words() -> None:
    assert describe_shuffle("full", block_bytes=1) == "memory-mapped, full shuffle"
    assert describe_shuffle("block", block_bytes=256 * 2**20) == "read in sequence, shuffled in blocks of 256 MiB"


def test_a_machine_has_memory() -> None:
    assert 2**28 < machine_memory() < 2**48
