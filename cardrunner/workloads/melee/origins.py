"""Which data a model was trained on, as its checkpoint records it, and whether two of them saw the same. Torch-free.

A policy that was trained on other data than the world model presses what the world has never seen, and the world
answers with nonsense: that is what a card's distribution match is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from cardrunner.workloads.melee.archive import read_archive

RECORD: Final = "cardrunner"
"""The key of a checkpoint under which this tool records where it comes from."""
_DIGITS: Final = 12
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Origin:
    """What a checkpoint says of its data; None or empty where it says nothing."""

    run: str | None = None
    games: int | None = None
    frames: int | None = None
    digests: tuple[str, ...] = ()
    """sha256 of each file, in any order."""
    encoding: Mapping[str, Any] = field(default_factory=dict)
    rules: Sequence[Any] = ()
    silence: str = "does not tell its data"
    """Why it says nothing, where it says nothing."""

    @classmethod
    def of(cls, checkpoint: object) -> Origin:
        """The origin of a loaded checkpoint; an old or foreign one tells little or nothing."""
        content = _mapping(checkpoint)
        record = _mapping(content.get(RECORD))
        run = record.get("run")
        named = isinstance(run, str) and _NAME.fullmatch(run)
        return cls.of_data(record.get("data"), run=str(run) if named else None, encoding=content.get("encoding_config"))

    @classmethod
    def of_data(cls, identity: object, *, run: str | None = None, encoding: object = None) -> Origin:
        """The origin of what is trained on this data.

        Args:
            identity: as `cardrunner.contracts.Data.identity` gives it.
            run: which run trained on it.
            encoding: where the identity does not tell it.
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
    def told(self) -> bool:
        """Whether it says which data it was."""
        return bool(self.digests) or (self.games is not None and self.frames is not None)

    def __str__(self) -> str:
        """``32 games, 297,628 frames, sha256 e7c2f01ab934..., run real-games``."""
        parts = [f"{number:,} {name}" for number, name in ((self.games, "games"), (self.frames, "frames")) if number]
        parts += [f"sha256 {_short(self.digests)}"] if self.digests else []
        parts += [f"run {self.run}"] if self.run else []
        return ", ".join(parts) if self.told else f"unknown: its checkpoint {self.silence}"


@dataclass(frozen=True)
class Comparison:
    """Whether two models learned from the same data, and the sentence for people."""

    verdict: Literal["same", "different", "unknown"]
    sentence: str


def read_origin(path: Path) -> Origin:
    """The origin of a checkpoint file, without reading its tensors.

    A file that is no checkpoint tells nothing; whoever loads it says why.
    """
    if not path.exists():
        return Origin(silence="is not here")
    try:
        with path.open("rb") as stream:
            return Origin.of(read_archive(stream))
    except Exception:  # damaged archives raise nearly anything
        return Origin()


def compare(name: str, one: Origin, other_name: str, other: Origin) -> Comparison:
    """Hold the origins of two models against each other.

    Args:
        name: of the first, with its article, such as ``the policy of p0``.
        other_name: of the second.
    """
    both = ((name, one), (other_name, other))
    untold = [f"the checkpoint of {part} {origin.silence}" for part, origin in both if not origin.told]
    if untold:
        known = "".join(f"; {part} learned from {origin}" for part, origin in both if origin.told)
        return Comparison("unknown", f"unknown, because {' and '.join(untold)}{known}")
    if differences := list(_differences(one, other)):
        text = f"{name} and {other_name} learned from DIFFERENT data: {', '.join(differences)}"
        return Comparison("different", text)
    return Comparison("same", f"{name} and {other_name} learned from the same data: {one}")


def _differences(one: Origin, other: Origin) -> Iterator[str]:
    for what, mine, theirs in (("games", one.games, other.games), ("frames", one.frames, other.frames)):
        if mine is not None and theirs is not None and mine != theirs:
            yield f"{mine:,} against {theirs:,} {what}"
    if one.digests and other.digests and sorted(one.digests) != sorted(other.digests):
        yield f"sha256 {_short(one.digests)} against {_short(other.digests)}"
    for name in sorted(one.encoding.keys() & other.encoding.keys()):
        if one.encoding[name] != other.encoding[name]:
            yield f"encoding.{name} {one.encoding[name]} against {other.encoding[name]}"
    if one.rules and other.rules and list(one.rules) != list(other.rules):
        yield "other encoder rules"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(digests: Sequence[str]) -> str:
    return " + ".join(f"{digest[:_DIGITS]}..." for digest in sorted(digests))
