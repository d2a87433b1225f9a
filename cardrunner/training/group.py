"""The processes that train one model together; a single process is a group of one.

All processes run the same program; where a clock, a signal or the disk decides, the leader's answer counts for all.
Only the leader writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cardrunner.errors import CardrunnerError

T = TypeVar("T")
PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others before it fails."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together: here a single one, the leader."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and decides."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """The leader's value."""
        return value

    def gather(self, value: T) -> list[T]:
        """Every process's value, by rank; only the leader gets them."""
        return [value]

    def largest(self, values: Sequence[int]) -> list[int]:
        """The largest value over all processes, entry by entry."""
        return list(values)

    def total(self, sums: Tensor) -> Tensor:
        """The sum over all processes."""
        return sums

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module, with its gradients averaged over the processes."""
        return module

    def unsynced(self, module: nn.Module) -> AbstractContextManager[None]:
        """Backward passes inside only add to this process's own gradients."""
        del module
        return nullcontext()


class JoinedGroup(ProcessGroup):
    """One of several processes, over `torch.distributed`."""

    def share(self, value: T) -> T:
        """The leader's value."""
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Every process's value, by rank; only the leader gets them."""
        boxes: list[Any] | None = [None] * self.world if self.leads else None
        distributed.gather_object(value, boxes, dst=0)
        return boxes or []

    def largest(self, values: Sequence[int]) -> list[int]:
        """The largest value over all processes, entry by entry."""
        found = torch.tensor(list(values), dtype=torch.int64)
        distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
        return [int(value) for value in found]

    def total(self, sums: Tensor) -> Tensor:
        """The sum over all processes."""
        found = sums.clone()
        distributed.all_reduce(found)
        return found

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module, with its gradients averaged over the processes."""
        return DistributedDataParallel(module)

    def unsynced(self, module: nn.Module) -> AbstractContextManager[None]:
        """Backward passes inside only add to this process's own gradients."""
        return cast("AbstractContextManager[None]", cast("DistributedDataParallel", module).no_sync())


class Followed(CardrunnerError):
    """The leader ends the run, and reports why."""


class GroupOutOfMemory(CardrunnerError):
    """A step did not fit into one process's memory. The others wait for its gradients, so the group cannot go on.

    Args:
        reason: torch's message.
        epoch: the epoch in progress.
        step: the global step that failed.
        pieces: the number of pieces that a batch was split into.
        progress: epochs trained so far.
        seconds: of training so far.
    """

    def __init__(self, reason: str, *, epoch: int, step: int, pieces: int, progress: float, seconds: float) -> None:
        super().__init__(reason)
        self.epoch, self.step, self.pieces, self.progress, self.seconds = epoch, step, pieces, progress, seconds


def is_lost(error: BaseException | None) -> bool:
    """Whether a process raised this error because it waited for another one in vain."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and "gloo" in str(error)  # gloo's errors have no class of their own


@contextmanager
def joined(*, rank: int, world: int, gpu: bool) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started beside this one.

    Args:
        rank: which one this is; also its GPU.
        world: how many there are.
        gpu: gradients live on GPUs.
    """
    if gpu:
        torch.cuda.set_device(rank)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=PATIENCE)
    yield JoinedGroup(rank, world)
    distributed.destroy_process_group()  # skipped after an error: it would wait for processes that are gone
