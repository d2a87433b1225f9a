"""The interface of a world that matches are played in: the built-in simulator or a learned world model.

Shapes: K context frames, controls of both players (2, 13).
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cardrunner.workloads.melee.encoding.layout import ANALOG, CONTROLLER

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_ZEROS: Final = np.zeros(2 * 56, np.float32)


class Frame(NamedTuple):
    """One frame: floats float32 (56,) and ints int64 (17,)."""

    floats: Floats
    ints: Ints


class World(Protocol):
    """Gives the next frame from the last frames and both players' next inputs."""

    def begin(
        self, floats: Floats, ints: Ints
    ) -> None: ...  # (K, 56), (K, 17): continue from these frames, oldest first
    def step(self, controls: Floats) -> Frame: ...  # (2, 13), in file units -> the next frame, the controls in it
    @property
    def action_logits(self) -> Floats | None: ...  # (2, actions) of the last step's frame; None: deterministic
    def accept(self, frame: Frame) -> None: ...  # the frame as played, after rules and repairs


def all_finite(values: Floats) -> bool:
    """Whether every value of a short array is finite; faster than testing each."""
    return bool(np.dot(values, _ZEROS[: len(values)]) == 0)


def possible_controls(controls: NDArray[np.floating]) -> Floats:
    """Controls (2, 13) as a real controller could give them: analog values within 0..1, buttons 0 or 1, NaN neutral."""
    if controls.shape != (2, len(CONTROLLER)):
        raise ValueError(f"controls of shape {controls.shape}, expected (2, {len(CONTROLLER)})")
    split = len(ANALOG)
    neutral = np.array([0.5] * (split - 1) + [0.0], np.float32)
    analog = np.clip(np.where(np.isnan(controls[:, :split]), neutral, controls[:, :split]), 0.0, 1.0)
    buttons = controls[:, split:] > 0.5
    return np.concatenate([analog, buttons], axis=1).astype(np.float32)
