"""The players of a match: the interface of agents, and simple scripted ones. Policies are in `policy.agent`.

Shapes: K context frames, oldest first; a controller is 13 values in file units.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

import numpy as np

from cardrunner.workloads.melee.arena.agent_names import BEST, AgentName, checkpoint_path
from cardrunner.workloads.melee.encoding.layout import (
    ANALOG,
    CONTROLLER,
    NEUTRAL_CONTROL,
    PlayerIndex,
    controller_slice,
    float_index,
)
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.world import Floats, Frame, Ints, possible_controls
from cardrunner.workloads.melee.policy.model_file import load_policy

_NEUTRAL: Final = np.array(NEUTRAL_CONTROL, np.float32)
_MAIN_X: Final = CONTROLLER.index("main_x")
_RANDOM_PRESS: Final = 1 / 8


class Agent(Protocol):
    """Observes every frame and answers with a controller; deterministic for the same frames and seed."""

    context_len: int  # frames that it needs to have observed before it acts

    def begin(self, floats: Floats, ints: Ints) -> None: ...  # (K, 56), (K, 17): the frames so far
    # float32 (13,) for the next frame: analog values 0..1, buttons 0 or 1, or NaN; may be overwritten by the next
    def act(self) -> Floats: ...
    def observe(self, frame: Frame) -> None: ...  # the frame that followed


class RandomAgent:
    """Random values in every frame."""

    context_len = 1

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def begin(self, floats: Floats, ints: Ints) -> None:  # noqa: ARG002
        """Restart the random numbers."""
        self._chance = np.random.default_rng(self._seed)

    def act(self) -> Floats:
        """Analog values uniform over 0..1, each button down in one of eight frames."""
        controls = self._chance.random(len(CONTROLLER), np.float32)
        controls[len(ANALOG) :] = controls[len(ANALOG) :] < _RANDOM_PRESS
        return controls

    def observe(self, frame: Frame) -> None:
        """Ignored: its inputs do not depend on the frames."""


class NoopAgent:
    """Touches nothing: a neutral controller in every frame."""

    context_len = 1

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Ignored: its inputs do not depend on the frames."""

    def act(self) -> Floats:
        """Sticks centred, nothing pressed."""
        return _NEUTRAL.copy()

    def observe(self, frame: Frame) -> None:
        """Ignored: its inputs do not depend on the frames."""


class HoldForwardAgent:
    """Holds the stick in the direction its fighter faces."""

    context_len = 1

    def __init__(self, player: PlayerIndex) -> None:
        self._facing = float_index("facing", player)

    def begin(self, floats: Floats, ints: Ints) -> None:
        """Observe the newest frame."""
        self.observe(Frame(floats[-1], ints[-1]))

    def act(self) -> Floats:
        """Full forward, nothing pressed."""
        controls = _NEUTRAL.copy()
        controls[_MAIN_X] = 1.0 if self._right else 0.0
        return controls

    def observe(self, frame: Frame) -> None:
        """Remember the direction its fighter faces."""
        self._right = float(frame.floats[self._facing]) > 0.5


class ReplayAgent:
    """Replays the inputs of a player of the match's opening game; neutral once that game is over.

    Args:
        floats: float32 (n, 56), the game's frames from the first played one on.
        player: whose controller.
    """

    context_len = 1

    def __init__(self, floats: Floats, player: PlayerIndex) -> None:
        both = floats[:, [*range(*_bounds(0)), *range(*_bounds(1))]].reshape(-1, 2, len(CONTROLLER))
        self._controls = [possible_controls(controls)[player] for controls in both]

    def begin(self, floats: Floats, ints: Ints) -> None:  # noqa: ARG002
        """Start from the first frame's inputs."""
        self._next = 0

    def act(self) -> Floats:
        """The inputs recorded in this frame."""
        controls = self._controls[self._next] if self._next < len(self._controls) else _NEUTRAL
        self._next += 1
        return controls

    def observe(self, frame: Frame) -> None:
        """Ignored: its inputs do not depend on the frames."""


def make_agent(
    name: AgentName,
    player: PlayerIndex,
    *,
    best: Path | None,
    workspace: Path,
    seed: int,
    encoding: EncodingConfig,
    replay: Floats,
) -> Agent:
    """The agent behind a name of a card, in a player's place.

    Args:
        best: the best checkpoint of the policy that the run trains; the latest is beside it.
        workspace: what relative checkpoint paths are relative to.
        seed: for random agents; each player has its own stream.
        encoding: of the frames that they observe.
        replay: the game to replay, as `ReplayAgent` takes it.

    Raises:
        EnvironmentFailed, IntegrityError: as `load_policy`.
    """
    match name.kind:
        case "random":
            return RandomAgent(2 * seed + player)
        case "noop":
            return NoopAgent()
        case "hold-forward":
            return HoldForwardAgent(player)
        case "replay":
            return ReplayAgent(replay, player)
    path = checkpoint_path(name.checkpoint or BEST, own=best, workspace=workspace)
    return load_policy(path, encoding).agent(player)


def _bounds(player: PlayerIndex) -> tuple[int, int]:
    part = controller_slice(player)
    return part.start, part.stop
