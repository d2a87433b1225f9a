"""The workspace: the folder that a card's paths are relative to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cardrunner.errors import EnvironmentFailed, UsageError

_MARKERS = ("cardrunner.yaml", "runcards")
DATA_VARIABLE = "CARDRUNNER_DATA"
VOLUME_VARIABLE = "CARDRUNNER_VOLUME"
"""Set in a container: the folder where the card's volume is mounted, in which its absolute paths begin."""
WORKSPACE_VARIABLE = "CARDRUNNER_WORKSPACE"
"""Set in a container: the folder that stands for the workspace the run was launched from."""


@dataclass(frozen=True)
class Workspace:
    """The nearest folder upward with ``cardrunner.yaml`` or ``runcards/``."""

    root: Path

    @classmethod
    def around(cls, place: Path) -> Workspace:
        """Find the workspace of a card or folder; without a marker it is the card's own folder."""
        start = Path(os.path.abspath(place))  # noqa: PTH100 - a linked card belongs to where the link stands
        folder = start if start.is_dir() else start.parent
        for candidate in (folder, *folder.parents):
            if any((candidate / marker).exists() for marker in _MARKERS):
                return cls(candidate)
        return cls(folder)

    @property
    def runs(self) -> Path:
        """The folder of run folders unless ``--runs`` names another."""
        return self.root / "runs"

    @property
    def records(self) -> Path:
        """Where signed contents are kept, to be committed with the cards."""
        return self.root / ".cardrunner"

    def inside(self, relative: str, *, field: str) -> Path:
        """Resolve a path of a card.

        Args:
            relative: the path as the card has it.
            field: the card field, for the message.

        Raises:
            UsageError: the path is absolute or leaves the workspace, also through a link.
        """
        target = (self.root / relative).resolve()
        if Path(relative).is_absolute() or not target.is_relative_to(self.root.resolve()):
            raise UsageError(f"{field}: {relative} leaves the workspace {self.root}; write a path relative to it")
        return target

    def find_data(self, relative: str) -> Path:
        """Find a data file: in the workspace, else in the folders of CARDRUNNER_DATA.

        An absolute path is one on a volume: in a container it begins where the volume is mounted, and elsewhere it is
        looked for as if it began in each of these folders.

        Raises:
            EnvironmentFailed: it was not found.
        """
        given, volume = Path(relative), os.environ.get(VOLUME_VARIABLE)
        named = [Path(entry) for entry in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if entry]
        below = Path(*given.parts[1:]) if given.is_absolute() else given
        roots = [Path(volume)] if volume and given.is_absolute() else [self.root, *named]
        places = [root / below for root in roots]
        for place in places:
            if place.is_file():
                return place
        looked = ", ".join(str(place) for place in places)
        hint = "" if volume else f", or set {DATA_VARIABLE} to the folder that holds it"
        raise EnvironmentFailed(f"data.source: {relative} was not found (looked at {looked}); put it there{hint}")
