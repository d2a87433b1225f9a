"""Copying data to the training device, and counting the bytes sent.

On the CPU no copy is made. For a GPU, data is gathered in page-locked memory and copied on a stream of its own, so that
the copies overlap the training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


class DeviceCopy:
    """Copies data to a device. Used by one thread at a time.

    Args:
        device: where data goes.
        staged: copy through a staging buffer in host memory; default: unless the device is the CPU.
    """

    def __init__(self, device: torch.device, *, staged: bool | None = None) -> None:
        self.device = device
        self.staged = device.type != "cpu" if staged is None else staged
        self.sent = 0
        """Bytes copied so far."""
        self._cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self._cuda else None  # type: ignore[no-untyped-call]
        self._staging: list[Tensor] = []

    def empty(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Allocate memory on the device."""
        return torch.empty(shape, dtype=dtype, device=self.device)

    def send(self, tensor: Tensor) -> Tensor:
        """Copy a host tensor to the device."""
        if not self.staged:
            return tensor
        self.sent += tensor.nbytes
        return tensor.pin_memory().to(self.device, non_blocking=True) if self._cuda else tensor.clone()

    def fill(self, targets: Sequence[Tensor], read: Callable[[Sequence[Tensor]], None]) -> None:
        """Fill device memory; returns when the bytes have arrived.

        Args:
            targets: contiguous tensors on the device.
            read: fills contiguous tensors of the host of the same shapes and types.
        """
        if not self.staged:
            read(targets)
            return
        staging = self._staging_for(targets)
        read(staging)
        with self._copying():
            for target, host in zip(targets, staging, strict=True):
                target.copy_(host, non_blocking=True)
                self.sent += host.nbytes
        if self._stream is not None:
            self._stream.synchronize()

    def settle(self) -> None:
        """Wait for queued work on the device, so that memory it reads may be overwritten."""
        if self._cuda:
            torch.cuda.current_stream(self.device).synchronize()

    def free_bytes(self) -> int:
        """Free device memory, in bytes."""
        return torch.cuda.mem_get_info(self.device)[0] if self._cuda else 0

    def _staging_for(self, targets: Sequence[Tensor]) -> list[Tensor]:
        needed = [target.nbytes for target in targets]
        if [memory.nbytes >= size for memory, size in zip(self._staging, needed, strict=False)] != [True] * len(needed):
            self._staging = [torch.empty(size, dtype=torch.uint8, pin_memory=self._cuda) for size in needed]
        pairs = zip(self._staging, targets, strict=True)
        return [memory[: target.nbytes].view(target.dtype).view(target.shape) for memory, target in pairs]

    def _copying(self) -> AbstractContextManager[object]:
        if self._stream is None:
            return nullcontext()
        # the targets' memory may still be read by work that was queued before they were handed out
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        return torch.cuda.stream(self._stream)
