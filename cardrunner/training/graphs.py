"""A training step as a CUDA graph: its kernels are recorded once and replayed from then on.

A small model keeps a GPU busy for less time than it takes to launch the kernels of a step one by one; replaying them
costs one launch. (A. Nguyen et al., "Accelerating PyTorch with CUDA Graphs", 2021.) Replayed kernels are the recorded
ones, and dropout goes on in the GPU's own random stream, so a run that is resumed repeats to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from cardrunner.contracts import Batch, BatchScore
from cardrunner.errors import EnvironmentFailed

_WARM_UPS = 3  # what is set up at first use (workspaces, algorithms, the optimizer's state) must exist before recording


class GraphedStep:
    """Replays a recorded step on batches of one shape.

    Args:
        take: takes a step on a batch, from no gradients to no gradients; must not wait for the device.
        model: what is trained; recording leaves it, the optimizer, the scaler and the random numbers as they were.
        optimizer: fused, with a learning rate that may change between steps.
        scaler: of the gradients.
        batch: of the shape to record, on a CUDA device.

    Raises:
        RuntimeError: the step cannot be recorded, for instance because it waits for the device.
        torch.OutOfMemoryError: it does not fit.
    """

    def __init__(
        self,
        take: Callable[[Batch], BatchScore],
        *,
        model: nn.Module,
        optimizer: Optimizer,
        scaler: GradScaler,
        batch: Batch,
    ) -> None:
        self.shape = shape_of(batch)
        self._groups = optimizer.param_groups
        self._inputs = tuple(tensor.clone() for tensor in batch)
        device = batch[0].device
        self._rates = [torch.tensor(group["lr"], dtype=torch.float32, device=device) for group in self._groups]
        self._shown = [group["lr"] for group in self._groups]
        with _as_before(model, optimizer, scaler, device), self._own_rates():
            self._warm_up(take, device)
            self._record(take)

    def __call__(self, batch: Batch) -> BatchScore:
        """One step; the outcome is overwritten by the next."""
        for own, given in zip(self._inputs, batch, strict=True):
            own.copy_(given, non_blocking=True)
        rates = [group["lr"] for group in self._groups]
        if rates != self._shown:
            for own, rate in zip(self._rates, rates, strict=True):
                own.fill_(rate)
            self._shown = rates
        self._graph.replay()
        return self._outcome

    def _warm_up(self, take: Callable[[Batch], BatchScore], device: torch.device) -> None:
        beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):
                take(self._inputs)
        torch.cuda.current_stream(device).wait_stream(beside)

    def _record(self, take: Callable[[Batch], BatchScore]) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # thread-local: the feed's threads keep allocating page-locked memory meanwhile
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            outcome = take(self._inputs)
        self._outcome = BatchScore(outcome.loss.detach(), outcome.numerators, outcome.denominators)

    @contextmanager
    def _own_rates(self) -> Iterator[None]:
        """The recorded step reads its learning rates from the device, where they can change."""
        for group, rate in zip(self._groups, self._rates, strict=True):
            group.update(lr=rate, **({"capturable": True} if "capturable" in group else {}))
        try:
            yield
        finally:
            for group, value in zip(self._groups, self._shown, strict=True):
                group.update(lr=value, **({"capturable": False} if "capturable" in group else {}))


@contextmanager
def _as_before(model: nn.Module, optimizer: Optimizer, scaler: GradScaler, device: torch.device) -> Iterator[None]:
    """Undo whatever steps inside change; optimizer state that did not exist before is set to zeros."""
    kept = {id(tensor): tensor.detach().clone() for tensor in _tensors(model, optimizer)}
    scaling, numbers = scaler.state_dict(), torch.cuda.get_rng_state(device)
    try:
        yield
    except BaseException:
        _renew_generator(device)
        raise
    finally:
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for tensor in _tensors(model, optimizer):
                tensor.copy_(kept[id(tensor)]) if id(tensor) in kept else tensor.zero_()
        if scaling:
            scaler.load_state_dict(scaling)
        torch.cuda.set_rng_state(numbers, device)


def _tensors(model: nn.Module, optimizer: Optimizer) -> Iterator[Tensor]:
    states = chain.from_iterable(state.values() for state in optimizer.state.values())
    yield from chain(model.parameters(), model.buffers(), filter(torch.is_tensor, states))


def _renew_generator(device: torch.device) -> None:
    """Replace the device's generator, which a failed recording leaves attached to the graph."""
    generator = torch.cuda.default_generators[device.index or 0]
    generator.graphsafe_set_state(torch.Generator(device).graphsafe_get_state())


def shape_of(batch: Batch) -> tuple[tuple[torch.Size, torch.dtype], ...]:
    """The shapes and dtypes that batches must share to go through one graph."""
    return tuple((tensor.shape, tensor.dtype) for tensor in batch)


def compiled(module: nn.Module) -> Callable[..., Any]:
    """The module, compiled at its first call, which takes from seconds to minutes.

    Raises:
        EnvironmentFailed: when called, if torch cannot compile, such as without a C++ compiler.
    """
    from torch._dynamo.exc import TorchDynamoException  # takes a second to import, so only here

    function = torch.compile(module)

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except TorchDynamoException as error:
            reason = str(error).strip().split("\n")[0]
            raise EnvironmentFailed(
                f"training.compile: torch could not compile the step ({type(error).__name__}: {reason}); "
                "install a C++ compiler, or set training.compile: false"
            ) from error

    return call
