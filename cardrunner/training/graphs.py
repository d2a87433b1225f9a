"""Gradients as a CUDA graph: the kernels of a forward and backward pass are recorded once and replayed in every step.

A small model keeps a GPU busy for less time than it takes to launch its kernels one by one; replaying them costs one
launch. (A. Nguyen et al., "Accelerating PyTorch with CUDA Graphs", 2021.) Replayed kernels are the recorded ones, and
dropout goes on in the GPU's own random stream, so a run that is resumed repeats to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from cardrunner.contracts import Batch, Outcome

_WARM_UPS = 3  # what is set up at first use (workspaces, algorithms) has to be there before a recording


class GraphedGradients:
    """Scores batches of one shape and leaves the gradients of their loss, as the recorded pass does.

    Args:
        compute: scores a batch and leaves gradients where there were none; must not wait for the device.
        model: whose gradients they are; recording leaves its buffers and the random numbers as they were.
        batch: of the shape to record, on a CUDA device.

    Raises:
        RuntimeError: the pass cannot be recorded, for instance since it waits for the device.
        torch.OutOfMemoryError: it does not fit.
    """

    def __init__(self, compute: Callable[[Batch], Outcome], model: nn.Module, batch: Batch) -> None:
        self.shape = shape_of(batch)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._inputs = tuple(tensor.clone() for tensor in batch)
        device, kept = batch[0].device, [buffer.clone() for buffer in model.buffers()]
        numbers = torch.cuda.get_rng_state(device)
        try:
            self._record(compute, device)
        finally:
            torch.cuda.set_rng_state(numbers, device)
            for buffer, value in zip(model.buffers(), kept, strict=True):
                buffer.copy_(value)
            self._hand_out([None] * len(self._parameters))

    def __call__(self, batch: Batch) -> Outcome:
        """Gradients of the batch, in memory that the next call overwrites, and its outcome, likewise."""
        for own, given in zip(self._inputs, batch, strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        self._hand_out(self._gradients)
        return self._outcome

    def _record(self, compute: Callable[[Batch], Outcome], device: torch.device) -> None:
        beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):
                self._hand_out([None] * len(self._parameters))
                compute(self._inputs)
        torch.cuda.current_stream(device).wait_stream(beside)
        self._hand_out([None] * len(self._parameters))
        self._graph = torch.cuda.CUDAGraph()
        # thread-local: the feed's threads go on taking page-locked memory meanwhile
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            outcome = compute(self._inputs)
        self._outcome = Outcome(outcome.loss.detach(), outcome.numerators, outcome.denominators)
        self._gradients = [parameter.grad for parameter in self._parameters]

    def _hand_out(self, gradients: Sequence[Tensor | None]) -> None:
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient


def shape_of(batch: Batch) -> tuple[tuple[torch.Size, torch.dtype], ...]:
    """What batches must have in common to go through one graph."""
    return tuple((tensor.shape, tensor.dtype) for tensor in batch)
