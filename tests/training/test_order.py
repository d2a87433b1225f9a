"""The order of an epoch: every example once, in an order that looks random, from any position."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from cardrunner.errors import UsageError
from cardrunner.training.order import (
    Permutation,
    Shard,
    batches_of,
    check_epoch,
    epoch_batches,
    epoch_is_over,
    sequential_batches,
)
from tests.examples import examples

LARGE = 185_648_963


def order(size: int, *, seed: int = 0, epoch: int = 1) -> torch.Tensor:
    return Permutation.of(size, seed=seed, epoch=epoch)(torch.arange(size))


@examples(60)
@given(size=st.integers(1, 5000), seed=st.integers(0, 2**32 - 1), epoch=st.integers(1, 1000))
def test_every_example_comes_once(size: int, seed: int, epoch: int) -> None:
    assert torch.equal(order(size, seed=seed, epoch=epoch).sort().values, torch.arange(size))


@examples(30)
@given(size=st.integers(1, 2**40), positions=st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=50, unique=True))
def test_different_positions_of_a_huge_file_lead_to_different_examples(size: int, positions: list[int]) -> None:
    inside = torch.tensor(sorted({position % size for position in positions}))
    found = Permutation.of(size, seed=3, epoch=2)(inside)
    assert len(set(found.tolist())) == len(inside)
    assert bool((found >= 0).all())
    assert bool((found < size).all())


def test_the_order_is_the_same_on_every_machine_and_in_every_version() -> None:
    assert order(10).tolist() == [3, 4, 0, 8, 6, 5, 2, 9, 7, 1]
    assert Permutation.of(LARGE, seed=7, epoch=3)(torch.arange(4)).tolist() == [23433779, 169801046, 84788596, 38151739]


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    orders = {tuple(order(50, seed=seed, epoch=epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@pytest.mark.parametrize("size", [2, 3, 5, 10])
def test_the_first_position_leads_everywhere_equally_often(size: int) -> None:
    seeds = 4000
    first = torch.tensor([int(Permutation.of(size, seed=seed, epoch=1)(torch.tensor([0]))) for seed in range(seeds)])
    expected = seeds / size
    chi_square = float(((first.bincount(minlength=size) - expected) ** 2 / expected).sum())
    assert chi_square < 30  # 9 degrees of freedom reach it once in 2,000


def test_the_order_of_a_large_file_looks_uniform() -> None:
    found = Permutation.of(LARGE, seed=0, epoch=1)(torch.arange(100_000)).double() / LARGE
    counts = torch.histc(found, bins=100, min=0, max=1)
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 180  # 99 degrees of freedom
    neighbours = torch.corrcoef(torch.stack((found[:-1], found[1:])))[0, 1]
    assert abs(float(neighbours)) < 0.015
    place = torch.corrcoef(torch.stack((found, torch.arange(100_000).double())))[0, 1]
    assert abs(float(place)) < 0.015


@examples(40)
@given(
    examples=st.integers(1, 400),
    batch_size=st.integers(1, 50),
    drop_last=st.booleans(),
    done=st.integers(0, 10),
)
def test_an_epoch_can_be_entered_anywhere(examples: int, batch_size: int, drop_last: bool, done: int) -> None:
    def batches(start: int) -> list[list[int]]:
        found = epoch_batches(examples, batch_size, seed=1, epoch=2, drop_last=drop_last, start=start)
        return [batch.tolist() for batch in found]

    whole = batches(0)
    assert len(whole) == batches_of(examples, batch_size, drop_last=drop_last)
    start = min(done * batch_size, examples)
    assert batches(start) == whole[done:]
    over = epoch_is_over(examples, batch_size, drop_last=drop_last, position=start)
    assert over == (not whole[done:])


def test_a_long_epoch_is_not_cut_where_it_is_computed_in_blocks() -> None:
    examples = 50_000
    batches = list(epoch_batches(examples, 1000, seed=0, epoch=1, drop_last=False))
    assert torch.equal(torch.cat(batches), order(examples))


@examples(40)
@given(examples=st.integers(1, 300), batch_size=st.integers(1, 20), world=st.integers(1, 5), drop_last=st.booleans())
def test_the_parts_of_all_processes_are_the_batch(examples: int, batch_size: int, world: int, drop_last: bool) -> None:
    parts = [
        list(epoch_batches(examples, batch_size, seed=4, epoch=1, drop_last=drop_last, shard=Shard(rank, world)))
        for rank in range(world)
    ]
    whole = list(epoch_batches(examples, batch_size * world, seed=4, epoch=1, drop_last=drop_last))
    for batch, *pieces in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat(pieces), batch)


def test_the_validation_order_is_that_of_the_file() -> None:
    assert [batch.tolist() for batch in sequential_batches(5, 2)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(("examples", "drop_last", "hint"), [(5, True, "drop_last: false"), (0, False, "data.source")])
def test_an_epoch_without_a_batch_is_refused(examples: int, drop_last: bool, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        check_epoch(examples, 8, drop_last=drop_last)
