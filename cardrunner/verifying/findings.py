"""What a check says: a difference, a remark that is no difference, or why it could not be done."""

from __future__ import annotations

from dataclasses import dataclass

from cardrunner.runs.damage import Damage, Kind


@dataclass(frozen=True)
class Unchecked:
    """Why something could not be checked."""

    why: str


@dataclass(frozen=True)
class Notice:
    """Something that people should know and that is no difference, such as a block since the launch."""

    what: str


Finding = Damage | Unchecked | Notice


def difference(file: str, what: str, *, line: int | None = None, kind: Kind = "changed") -> Damage:
    """A difference.

    Args:
        file: its path inside the run folder.
        what: both values, as a sentence.
        line: where, in a file of lines; counts from 1.
        kind: see `cardrunner.runs.damage.Kind`.
    """
    return Damage(file=file, kind=kind, what=what if line is None else f"line {line}: {what}")
