"""The order of an epoch that is read in sequence: every example once, whole groups together, from any position."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from cardrunner.training.block_shuffle import Block, BlockOrder
from cardrunner.training.order import Shard
from tests.examples import examples

SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=20)


def numbers(block: Block, sizes: torch.Tensor) -> torch.Tensor:
    """The example numbers of a block in the order of training."""
    firsts = sizes.cumsum(0) - sizes
    inside = [torch.arange(span.first, span.beyond) + firsts[span.group] for span in block.spans]
    return torch.cat(inside)[block.positions()]


def walked(order: BlockOrder, start: int = 0) -> list[int]:
    return [number for block in order.blocks(start) for number in numbers(block, order.sizes).tolist()]


@examples(80)
@given(sizes=SIZES, capacity=st.integers(1, 60), world=st.integers(1, 4), piece=st.integers(1, 40))
def test_all_processes_together_train_every_example_once(
    sizes: list[int], capacity: int, world: int, piece: int
) -> None:
    table = torch.tensor(sizes)
    shards = [Shard(rank, world) for rank in range(world)]
    orders = [BlockOrder(table, capacity, seed=9, epoch=2, shard=shard, piece=piece) for shard in shards]
    found = [number for order in orders for number in walked(order)]
    assert sorted(found) == list(range(sum(sizes)))
    blocks = [block for order in orders for block in order.blocks()]
    assert all(0 < block.size <= capacity for block in blocks)
    assert all(sum(span.beyond - span.first for span in block.spans) == block.size for block in blocks)


@examples(60)
@given(
    sizes=SIZES, capacity=st.integers(1, 40), world=st.integers(1, 3), batch=st.integers(1, 9), steps=st.integers(0, 20)
)
def test_an_epoch_goes_on_from_any_position(
    sizes: list[int], capacity: int, world: int, batch: int, steps: int
) -> None:
    start = min(batch * world * steps, sum(sizes) // (batch * world) * batch * world)
    for rank in range(world):
        order = BlockOrder(torch.tensor(sizes), capacity, seed=5, epoch=1, shard=Shard(rank, world))
        assert walked(order, start) == walked(order)[start // world :]


def test_entering_reads_one_block_and_none_before() -> None:
    order = BlockOrder(torch.full((100,), 10), 50, seed=1, epoch=1)
    assert [(block.size, block.drawn) for block in order.blocks(470)][:2] == [(50, 20), (50, 0)]
    assert list(order.blocks(1000)) == []


def test_whole_groups_come_in_random_order_and_blocks_are_shuffled() -> None:
    order = BlockOrder(torch.full((200,), 10), 100, seed=0, epoch=1)
    blocks = list(order.blocks())
    groups = [span.group for block in blocks for span in block.spans]
    assert sorted(groups) == list(range(200))
    assert groups != list(range(200))
    assert {(span.first, span.beyond) for block in blocks for span in block.spans} == {(0, 10)}
    positions = [tuple(block.positions().tolist()) for block in blocks]
    assert len(set(positions)) == len(positions)
    assert tuple(range(100)) not in positions


def test_long_groups_are_cut_into_pieces_that_lie_apart() -> None:
    order = BlockOrder(torch.tensor([100, 100, 5]), 50, seed=0, epoch=1, piece=20)
    spans = [span for block in order.blocks() for span in block.spans]
    assert {span.beyond - span.first for span in spans} <= {20, 10, 5, 15}
    assert len({span.group for span in next(iter(order.blocks())).spans}) > 1


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    sizes = torch.full((30,), 4)
    orders = {tuple(walked(BlockOrder(sizes, 16, seed=seed, epoch=epoch))) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_the_order_is_the_same_on_every_machine_and_in_every_version() -> None:
    assert walked(BlockOrder(torch.tensor([3, 0, 4, 2]), 4, seed=7, epoch=3)) == [8, 1, 0, 7, 2, 5, 3, 4, 6]


@pytest.mark.parametrize("stretch", [(0, 9), (2, 7), (4, 4)])
def test_unshuffled_a_stretch_is_walked_as_it_lies(stretch: tuple[int, int]) -> None:
    order = BlockOrder(torch.tensor([3, 0, 4, 2]), 4, shuffled=False, stretch=stretch)
    assert walked(order) == list(range(*stretch))
