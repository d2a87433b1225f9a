"""The demo section of the cards of these workloads: two sides play a match in a world. Torch-free."""

from collections.abc import Collection, Sequence
from typing import Annotated

from cardrunner.card.contracts import narrowed
from cardrunner.card.schema.base import ADDED, Line, LineOrCount, PositiveCount
from cardrunner.card.schema.card import Card
from cardrunner.card.schema.plan import DemoSection
from cardrunner.workloads.melee.arena.agent_names import SIMULATOR


class MatchDemo(DemoSection):
    """A match, as the last look of people."""

    world_model: Line = SIMULATOR
    """The checkpoint of a world model, or the built-in simulator."""
    seed_game: LineOrCount | None = None
    """What it starts from: a file, or the number of a validation game; null for the first."""
    p0: Line = "policy:best"
    """Who plays the first side: a policy as policy:CHECKPOINT, or one of the scripted agents."""
    p1: Line = "policy:best"
    """Who plays the second side; see p0."""
    max_frames: PositiveCount = 1200
    """Frames until it ends."""
    rules: Annotated[bool, ADDED] = True
    """Let the rules of the game correct a learned world model where it breaks them; each correction is counted."""

    @property
    def sentence(self) -> str:
        """Who plays, where, and for how long."""
        return f"{self.p0} against {self.p1} in {self.world_model}, at most {self.max_frames:,} frames"

    def rows(self) -> Sequence[tuple[str, str]]:
        """What it starts from, and whether the rules correct the world."""
        start = "the first validation game" if self.seed_game is None else str(self.seed_game)
        uncorrected = () if self.rules else (("Rules", "a learned world model plays uncorrected"),)
        return (("Starts from", start), *uncorrected)

    @property
    def worded(self) -> Collection[str]:
        """Every field of its own."""
        return type(self).model_fields.keys() - DemoSection.model_fields.keys()

    @property
    def reads(self) -> tuple[str, ...]:
        """Every path that its fields may name, as in ``policy:PATH`` and ``games.pt:3``."""
        said = [value for value in self.model_dump().values() if isinstance(value, str)]
        return tuple(sorted({part for value in said for part in value.split(":")}))

    @property
    def opens(self) -> tuple[str, ...]:
        """The world model, where it is one."""
        return () if self.world_model == SIMULATOR else (self.world_model,)


def demo_of(card: Card) -> MatchDemo | None:
    """The `after_training.demo` section of a card of these workloads; None if it asks for no demo."""
    demo = card.after_training.demo
    return None if demo is None else narrowed(demo, MatchDemo, workload=card.workload)
