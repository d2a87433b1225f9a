"""Which data a model was trained on, as its checkpoint records it, and whether two of them saw the same. Torch-free.

A policy trained on other data than the world model gives inputs that the world model has never seen, and gets nonsense
in return; a card's distribution match guards against that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from cardrunner.card.schema.card import Card
from cardrunner.common.text import listed
from cardrunner.specs import DataMatch
from cardrunner.workloads.melee.arena.agent_names import BEST, OWN, SIMULATOR, read_agent
from cardrunner.workloads.melee.demo.section import MatchDemo, demo_of
from cardrunner.workloads.melee.encoding.archive import read_archive
from cardrunner.workloads.melee.policy.sections import GamesData

RECORD: Final = "cardrunner"
"""The key of a checkpoint under which cardrunner records its origin."""
_DIGITS: Final = 12
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class DataOrigin:
    """The data that a checkpoint records; None or empty for what it lacks."""

    run: str | None = None
    games: int | None = None
    frames: int | None = None
    digests: tuple[str, ...] = ()
    """sha256 of each file, in any order."""
    encoding: Mapping[str, Any] = field(default_factory=dict)
    rules: Sequence[Any] = ()
    silence: str = "does not record its data"
    """Why the data is unknown, if it is."""

    @classmethod
    def of(cls, checkpoint: object) -> DataOrigin:
        """The origin of a loaded checkpoint; an old or foreign one records little or nothing."""
        content = _mapping(checkpoint)
        record = _mapping(content.get(RECORD))
        run = record.get("run")
        named = isinstance(run, str) and _NAME.fullmatch(run)
        return cls.of_data(record.get("data"), run=str(run) if named else None, encoding=content.get("encoding_config"))

    @classmethod
    def of_data(cls, identity: object, *, run: str | None = None, encoding: object = None) -> DataOrigin:
        """The origin of a model trained on this data.

        Args:
            identity: as `cardrunner.contracts.Data.identity` gives it.
            run: which run trained on it.
            encoding: the encoding, if the identity lacks it.
        """
        data = _mapping(identity)
        files = data.get("files")
        digests = [_mapping(file).get("sha256") for file in (files if isinstance(files, list) else ())]
        games, frames, rules = data.get("games"), data.get("frames"), data.get("rules")
        return cls(
            run=run,
            games=games if type(games) is int else None,
            frames=frames if type(frames) is int else None,
            digests=tuple(digest for digest in digests if isinstance(digest, str) and _SHA256.fullmatch(digest)),
            encoding=_mapping(data.get("encoding", encoding)),
            rules=tuple(rules) if isinstance(rules, list) else (),
        )

    @property
    def recorded(self) -> bool:
        """Whether the data is recorded."""
        return bool(self.digests) or (self.games is not None and self.frames is not None)

    def __str__(self) -> str:
        """``32 games, 297,628 frames, sha256 e7c2f01ab934..., run real-games``."""
        parts = [f"{number:,} {name}" for number, name in ((self.games, "games"), (self.frames, "frames")) if number]
        parts += [f"sha256 {_short(self.digests)}"] if self.digests else []
        parts += [f"run {self.run}"] if self.run else []
        return ", ".join(parts) if self.recorded else f"unknown: its checkpoint {self.silence}"


@dataclass(frozen=True)
class OriginsMatch:
    """Whether two models were trained on the same data, and the sentence for people."""

    verdict: Literal["same", "different", "unknown"]
    sentence: str


def read_origin(path: Path) -> DataOrigin:
    """The origin of a checkpoint file, without reading its tensors.

    A file that is not a checkpoint has an unknown origin; loading it gives the error.
    """
    if not path.exists():
        return DataOrigin(silence="was not found")
    try:
        with path.open("rb") as stream:
            return DataOrigin.of(read_archive(stream))
    except Exception:  # damaged archives raise nearly anything
        return DataOrigin()


def compare(name: str, one: DataOrigin, other_name: str, other: DataOrigin) -> OriginsMatch:
    """Compare the origins of two models.

    Args:
        name: of the first, with its article, such as ``the policy of p0``.
        other_name: of the second.
    """
    both = ((name, one), (other_name, other))
    unknown = [f"the checkpoint of {part} {origin.silence}" for part, origin in both if not origin.recorded]
    if unknown:
        known = "".join(f"; {part}: trained on {origin}" for part, origin in both if origin.recorded)
        return OriginsMatch("unknown", f"unknown, because {listed(unknown)}{known}")
    if differences := list(_differences(one, other)):
        text = f"{name} and {other_name} were trained on DIFFERENT data: {', '.join(differences)}"
        return OriginsMatch("different", text)
    return OriginsMatch("same", f"{name} and {other_name} were trained on the same data: {one}")


def _differences(one: DataOrigin, other: DataOrigin) -> Iterator[str]:
    for what, mine, theirs in (("games", one.games, other.games), ("frames", one.frames, other.frames)):
        if mine is not None and theirs is not None and mine != theirs:
            yield f"{mine:,} against {theirs:,} {what}"
    if one.digests and other.digests and sorted(one.digests) != sorted(other.digests):
        yield f"sha256 {_short(one.digests)} against {_short(other.digests)}"
    for name in sorted(one.encoding.keys() & other.encoding.keys()):
        if one.encoding[name] != other.encoding[name]:
            yield f"encoding.{name} {one.encoding[name]} against {other.encoding[name]}"
    if one.rules and other.rules and list(one.rules) != list(other.rules):
        yield "different encoder rules"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(digests: Sequence[str]) -> str:
    return " + ".join(f"{digest[:_DIGITS]}..." for digest in sorted(digests))


WORLD = "world model"


@dataclass(frozen=True)
class DemoOrigins:
    """The models of a demo.

    Attributes:
        world: None for the simulator, which is not trained.
        policies: by name, such as ``policy of p0``.
    """

    world: DataOrigin | None
    policies: Mapping[str, DataOrigin]

    @classmethod
    def of(cls, demo: MatchDemo, find: Callable[[str], DataOrigin]) -> DemoOrigins:
        """The models that a card names.

        Args:
            find: returns the origin of a checkpoint by its name in the card: ``best``, ``latest`` or a path.
        """
        agents = {f"policy of p{player}": read_agent(text) for player, text in enumerate((demo.p0, demo.p1))}
        policies = {name: find(agent.checkpoint or BEST) for name, agent in agents.items() if agent.kind == "policy"}
        return cls(None if demo.world_model == SIMULATOR else find(demo.world_model), policies)

    def match(self) -> DataMatch:
        """Each policy compared with the world."""
        world = "nothing: the built-in simulator" if self.world is None else str(self.world)
        parts = {WORLD: world, **{name: str(origin) for name, origin in self.policies.items()}}
        if not self.policies:
            return DataMatch(parts=parts, sentence="nothing to compare: no policy plays", agrees=None)
        if self.world is None:
            text = "nothing to compare: the built-in simulator is not trained on data"
            return DataMatch(parts=parts, sentence=text, agrees=None)
        found = self._compared(self.world)
        verdicts = {each.verdict for each in found}
        agrees = False if "different" in verdicts else None if "unknown" in verdicts else True
        return DataMatch(parts=parts, sentence="; ".join(dict.fromkeys(each.sentence for each in found)), agrees=agrees)

    def _compared(self, world: DataOrigin) -> list[OriginsMatch]:
        if len(set(map(str, self.policies.values()))) == 1 and len(self.policies) > 1:
            return [compare("both policies", next(iter(self.policies.values())), f"the {WORLD}", world)]
        return [compare(f"the {name}", origin, f"the {WORLD}", world) for name, origin in self.policies.items()]


def planned_match(card: Card, data: GamesData, workspace: Path) -> DataMatch | None:
    """The match of a demo before the run: its own checkpoints stand for the card's data."""
    demo = demo_of(card)
    if demo is None:
        return None
    own = DataOrigin(
        run=card.name,
        games=data.known_games,
        frames=data.known_frames,
        digests=tuple(_pins(data)),
        encoding=data.encoding.stated(),
    )
    return DemoOrigins.of(demo, lambda name: own if name in OWN else read_origin(workspace / name)).match()


def _pins(data: GamesData) -> list[str]:
    """The digests that the card pins, if it pins all."""
    pins = [file.sha256 or data.sha256 for file in data.source]
    return [pin for pin in pins if pin] if all(pins) else []
