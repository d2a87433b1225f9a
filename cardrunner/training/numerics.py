"""What decides a run's exact results beside its data: device, threads, precision, algorithms, random numbers."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cardrunner.card.schema.training import TrainingSection
from cardrunner.errors import EnvironmentFailed

_deterministic: Any = torch.utils.deterministic  # its only attribute is created at run time
_HALF_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Numerics:
    """Where and how exactly the arithmetic is done."""

    device: torch.device
    precision: str
    threads: int

    def autocast(self) -> AbstractContextManager[object]:
        """The context of forward passes and losses."""
        if self.precision in _HALF_TYPES:
            return torch.autocast(self.device.type, dtype=_HALF_TYPES[self.precision])
        return nullcontext()

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps small fp16 gradients above zero; does nothing for other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def notes(self) -> tuple[str, ...]:
        """Notes on what the card asks for and this device cannot do."""
        if self.precision == "tf32" and self.device.type != "cuda":
            return (f"training.precision: tf32 is float32 on {self.device.type}, which has no tf32 units",)
        return ()


@contextmanager
def numerics(training: TrainingSection) -> Iterator[Numerics]:
    """Set torch up as the card says, and put everything back afterwards.

    Raises:
        EnvironmentFailed: the card asks for a device that is not available.
    """
    device = choose_device(training.device)
    before = _settings()
    try:
        _set(threads=training.threads or torch.get_num_threads(), deterministic=True, tf32=training.precision == "tf32")
        with warnings.catch_warnings():
            # raised for a resumed epoch without a step left, and for a first step that the fp16 scaler skips:
            # https://github.com/pytorch/pytorch/issues/44511
            warnings.filterwarnings("ignore", message="Detected call of .lr_scheduler.step")
            yield Numerics(device, training.precision, torch.get_num_threads())
    finally:
        _set(**before)


def choose_device(wanted: str) -> torch.device:
    """The device of a run.

    Args:
        wanted: auto, cpu or cuda.

    Raises:
        EnvironmentFailed: the device is not available.
    """
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise EnvironmentFailed(
            "training.device: cuda, but torch sees no CUDA device here; check the driver, or set device: auto"
        )
    return torch.device("cuda" if found and wanted != "cpu" else "cpu")


def seed_everything(seed: int) -> None:
    """Start every random number generator that a workload may use from one seed."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # the global generator is what third-party code draws from
    random.seed(seed)


def random_state() -> dict[str, Any]:
    """Every generator's state, in types that ``torch.load(weights_only=True)`` reads."""
    legacy: Any = np.random.get_state(legacy=True)
    _, keys, position, has_gauss, gauss = legacy
    version, words, pending = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(words), pending],
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Restore every generator to a state of `random_state`."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))
    version, words, pending = state["python"]
    random.setstate((version, tuple(words), pending))


def _settings() -> dict[str, Any]:
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": _deterministic.fill_uninitialized_memory,
        "tf32": torch.get_float32_matmul_precision() == "high",
    }


def _set(*, threads: int, deterministic: bool, tf32: bool, warn_only: bool = True, fill: bool = False) -> None:
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it to be deterministic
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    _deterministic.fill_uninitialized_memory = fill  # costs time and makes results no more reproducible
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
