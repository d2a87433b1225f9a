"""Whether the models that meet in a demo learned from the same data. Torch-free: a plan asks before the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cardrunner.card.schema.after_training import Demo
from cardrunner.card.schema.card import Card
from cardrunner.specs import DataMatch
from cardrunner.workloads.melee.agent_names import BEST, OWN, SIMULATOR, read_agent
from cardrunner.workloads.melee.origins import Comparison, Origin, compare, read_origin
from cardrunner.workloads.melee.spec_sections import GamesData

WORLD = "world model"


@dataclass(frozen=True)
class DemoOrigins:
    """The models of a demo.

    Attributes:
        world: None for the simulator, which has learned from no data.
        policies: by name, such as ``policy of p0``.
    """

    world: Origin | None
    policies: Mapping[str, Origin]

    @classmethod
    def of(cls, demo: Demo, find: Callable[[str], Origin]) -> DemoOrigins:
        """The models that a card names.

        Args:
            find: the origin of a checkpoint as the card has it: ``best``, ``latest`` or a path.
        """
        agents = {f"policy of p{player}": read_agent(text) for player, text in enumerate((demo.p0, demo.p1))}
        policies = {name: find(agent.checkpoint or BEST) for name, agent in agents.items() if agent.kind == "policy"}
        return cls(None if demo.world_model == SIMULATOR else find(demo.world_model), policies)

    def match(self) -> DataMatch:
        """Each policy held against the world."""
        world = "nothing: the built-in simulator" if self.world is None else str(self.world)
        parts = {WORLD: world, **{name: str(origin) for name, origin in self.policies.items()}}
        if not self.policies:
            return DataMatch(parts=parts, sentence="nothing to compare: no policy plays", agrees=None)
        if self.world is None:
            text = "nothing to compare: the built-in simulator has not learned from data"
            return DataMatch(parts=parts, sentence=text, agrees=None)
        found = self._compared(self.world)
        verdicts = {each.verdict for each in found}
        agrees = False if "different" in verdicts else None if "unknown" in verdicts else True
        return DataMatch(parts=parts, sentence="; ".join(dict.fromkeys(each.sentence for each in found)), agrees=agrees)

    def _compared(self, world: Origin) -> list[Comparison]:
        if len(set(map(str, self.policies.values()))) == 1 and len(self.policies) > 1:
            return [compare("both policies", next(iter(self.policies.values())), f"the {WORLD}", world)]
        return [compare(f"the {name}", origin, f"the {WORLD}", world) for name, origin in self.policies.items()]


def planned_match(card: Card, data: GamesData, workspace: Path) -> DataMatch | None:
    """The match of a demo before the run: its own checkpoints stand for the card's data."""
    demo = card.after_training.demo
    if demo is None:
        return None
    own = Origin(
        run=card.name,
        games=data.known_games,
        frames=data.known_frames,
        digests=tuple(_pins(data)),
        encoding=data.encoding.stated(),
    )
    return DemoOrigins.of(demo, lambda name: own if name in OWN else read_origin(workspace / name)).match()


def _pins(data: GamesData) -> list[str]:
    """The digests that the card pins, where it pins all."""
    pins = [file.sha256 or data.sha256 for file in data.source]
    return [pin for pin in pins if pin] if all(pins) else []
