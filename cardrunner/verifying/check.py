"""A check of a run folder, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cardrunner.errors import CardrunnerError
from cardrunner.runs.damage import Damage
from cardrunner.verifying.evidence import Evidence
from cardrunner.verifying.findings import Finding, Notice, Unchecked

Look = Callable[[Evidence], Iterable[Finding]]
_MOST = 20
"""Differences that one check names."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of the table of checks."""

    group: str
    name: str
    """What holds when it passes, as people read it."""
    look: Look
    workspace: bool = False
    """Whether only the workspace can tell."""
    at_rest: bool = False
    """Whether it compares files that a running process writes one after the other."""
    advice: str
    """What to do about a difference."""

    def answer(self, run: Evidence) -> Answer:
        """Look at a run. A file that cannot be read leaves it undone; the check of the records names that file."""
        if self.workspace and run.workspace is None:
            return Answer(self, unchecked=("the run folder is looked at alone; only its workspace can tell",))
        if self.at_rest and run.live:
            return Answer(self, unchecked=("the run is live; look again when it has ended",))
        found: list[Finding] = []
        try:
            found.extend(self.look(run))
        except CardrunnerError as error:
            found.append(Unchecked(" ".join(str(error).split())))
        damages = [finding for finding in found if isinstance(finding, Damage)]
        if len(damages) > _MOST:
            last = damages[_MOST - 1]
            more = Damage(file=last.file, kind=last.kind, what=f"{len(damages) - _MOST} more differences of this kind")
            damages = [*damages[:_MOST], more]
        return Answer(
            self,
            damages=tuple(damages),
            unchecked=tuple(dict.fromkeys(finding.why for finding in found if isinstance(finding, Unchecked))),
            notices=tuple(finding.what for finding in found if isinstance(finding, Notice)),
        )


class Answer(NamedTuple):
    """What a check found; without anything, it passed."""

    check: Check
    damages: tuple[Damage, ...] = ()
    unchecked: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def differences(self) -> tuple[Damage, ...]:
        """What speaks against the run."""
        return tuple(damage for damage in self.damages if damage.grave)

    @property
    def word(self) -> str:
        """``differs``, ``not checked`` or ``ok``."""
        return "differs" if self.differences else "not checked" if self.unchecked else "ok"
