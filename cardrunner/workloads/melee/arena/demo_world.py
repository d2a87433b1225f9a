"""The world of a demo: the built-in simulator, or a learned world model from its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cardrunner.errors import EnvironmentFailed, IntegrityError
from cardrunner.workloads.melee.arena.agent_names import SIMULATOR, checkpoint_path
from cardrunner.workloads.melee.arena.seeds import Opening
from cardrunner.workloads.melee.encoding.scheme import EncodingConfig
from cardrunner.workloads.melee.game.world import Frame, World
from cardrunner.workloads.melee.simulator.simulator import Simulator
from cardrunner.workloads.melee.world_model.learned_world import LearnedWorld
from cardrunner.workloads.melee.world_model.model_file import load_world_model
from cardrunner.workloads.melee.world_model.prediction import WorldModel

_FIELD: Final = "after_training.demo.world_model"


@dataclass(frozen=True)
class DemoWorld:
    """A world in which matches can be played.

    Attributes:
        name: as the card has it.
        model: None for the simulator.
    """

    name: str
    model: WorldModel | None = None

    @property
    def architecture(self) -> str:
        """The name of its architecture, for people and viewers."""
        return self.model.architecture if self.model else SIMULATOR

    @property
    def context_len(self) -> int:
        """Frames that it needs as context."""
        return self.model.context_len if self.model else 1

    @property
    def needs_rules(self) -> bool:
        """Whether it may break the game's rules."""
        return self.model is not None

    def check_encoding(self, encoding: EncodingConfig) -> None:
        """Check that it can continue from frames of this encoding.

        Raises:
            IntegrityError: it cannot.
        """
        if self.model and (differences := self.model.encoding.differences(encoding)):
            text = "; ".join(f"{each} in the game" for each in differences)
            raise IntegrityError(f"{_FIELD}: {self.name} expects another frame encoding ({text}); choose another game")

    def fresh(self, opening: Opening) -> World:
        """A world before its first frame."""
        if self.model is None:
            return Simulator.from_frame(*Frame(opening.floats[-1], opening.ints[-1]))
        return LearnedWorld(self.model)


def load_demo_world(name: str, *, own: Path | None, workspace: Path, encoding: EncodingConfig) -> DemoWorld:
    """The world behind a name of a card.

    Args:
        name: ``simulator``, a path in the workspace, or ``best`` and ``latest`` where the run trains a world model.
        own: the best checkpoint of such a run; the latest is beside it.
        encoding: of the run's data.

    Raises:
        EnvironmentFailed: the checkpoint is not there.
        IntegrityError: it is not a world model of this encoding.
    """
    if name == SIMULATOR:
        return DemoWorld(name)
    path = checkpoint_path(name, own=own, workspace=workspace)
    if not path.is_file():
        raise EnvironmentFailed(f"{_FIELD}: {name} was not found in {workspace}; put it there, or write {SIMULATOR}")
    return DemoWorld(name, load_world_model(path, encoding))
