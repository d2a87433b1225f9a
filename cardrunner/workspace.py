"""The workspace: the folder that a card's paths are relative to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cardrunner.errors import EnvironmentFailed, UsageError

RULES = "cardrunner.yaml"
_MARKERS = (RULES, "runcards")
DATA_VARIABLE = "CARDRUNNER_DATA"
VOLUME_VARIABLE = "CARDRUNNER_VOLUME"
"""Set in a container: the folder where the card's volume is mounted, in which its absolute paths begin."""
_RECORDS = ".cardrunner"


@dataclass(frozen=True)
class Workspace:
    """The nearest folder upward with ``cardrunner.yaml`` or ``runcards/``."""

    root: Path

    @classmethod
    def around(cls, place: Path) -> Workspace:
        """Find the workspace of a card or folder; without a marker it is the card's own folder."""
        return cls.marked_around(place) or cls(_folder_of(place))

    @classmethod
    def marked_around(cls, place: Path) -> Workspace | None:
        """The same, and None without a marker."""
        folder = _folder_of(place)
        marked = (candidate for candidate in (folder, *folder.parents) if _is_marked(candidate))
        return next(map(cls, marked), None)

    @property
    def runs(self) -> Path:
        """The folder of run folders unless ``--runs`` names another."""
        return self.root / "runs"

    @property
    def upward(self) -> tuple[Path, ...]:
        """This folder and every one above it, nearest first, then those that only a link leads to."""
        named, real = (self.root, *self.root.parents), self.root.resolve()
        seen = {folder.resolve() for folder in named}
        return (*named, *(folder for folder in (real, *real.parents) if folder not in seen))

    @property
    def levels(self) -> tuple[Path, ...]:
        """This folder and every workspace around it, nearest first. The rules of all of them count."""
        return (self.root, *(folder for folder in self.upward[1:] if _is_marked(folder)))

    @property
    def records(self) -> Path:
        """Where signed contents, blocks and admissions are kept, to be committed with the cards.

        Beside the outermost ``cardrunner.yaml``, so that a workspace inside another one shares its records.
        """
        real = self.root.resolve()
        floors = [folder for folder in (self.root, *real.parents) if stands(folder / RULES)]
        return (floors[-1] if floors else self.root) / _RECORDS

    @property
    def record_places(self) -> tuple[Path, ...]:
        """Every folder of records that counts: `records`, and those kept in another folder of `upward`."""
        places = (folder / _RECORDS for folder in self.upward)
        return tuple(dict.fromkeys((self.records, *(place for place in places if stands(place)))))

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
        roots, below = self._data_places(relative)
        places = [root / below for root in roots]
        for place in places:
            if place.is_file():
                return place
        raise _not_found(relative, places)

    def find_pattern(self, relative: str) -> dict[str, Path]:
        """The data files of a pattern by their paths as from the workspace; hidden files are left out.

        Args:
            relative: with ``*``, ``?`` and ``[...]`` in names and ``**`` for any folders; a path that ends with ``/``
                stands for every file below that folder.

        Raises:
            EnvironmentFailed: there is no such file, in the first of the places of `find_data` that has one.
        """
        roots, below = self._data_places(relative)
        pattern = f"{below}/**/*" if relative.endswith("/") else str(below)
        for root in roots:
            found = {path.relative_to(root).as_posix(): path for path in root.glob(pattern) if path.is_file()}
            shown = {name: path for name, path in found.items() if not any(map(_is_hidden, name.split("/")))}
            if shown:
                return shown
        raise _not_found(relative, [root / pattern for root in roots])

    def data_named(self, relative: str, *, pattern: bool) -> dict[str, Path]:
        """The files of an entry of `data.source` by their paths as from the workspace.

        Args:
            relative: its path.
            pattern: whether that is a pattern; see `find_pattern`.

        Raises:
            EnvironmentFailed: there is no such file.
        """
        return self.find_pattern(relative) if pattern else {relative: self.find_data(relative)}

    def _data_places(self, relative: str) -> tuple[list[Path], Path]:
        """The folders in which a data path is looked for, and the path below them."""
        given, volume = Path(relative), os.environ.get(VOLUME_VARIABLE)
        named = [Path(entry) for entry in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if entry]
        below = Path(*given.parts[1:]) if given.is_absolute() else given
        return [Path(volume)] if volume and given.is_absolute() else [self.root, *named], below


def stands(path: Path) -> bool:
    """Whether something has this name, a dangling link and what may not be looked at included."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _not_found(relative: str, places: list[Path]) -> EnvironmentFailed:
    looked = ", ".join(str(place) for place in places)
    hint = "" if os.environ.get(VOLUME_VARIABLE) else f", or set {DATA_VARIABLE} to the folder that holds it"
    return EnvironmentFailed(f"data.source: {relative} was not found (looked at {looked}); put it there{hint}")


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _folder_of(place: Path) -> Path:
    start = Path(os.path.abspath(place))  # noqa: PTH100 - a linked card belongs to where the link stands
    return start if start.is_dir() else start.parent


def _is_marked(folder: Path) -> bool:
    return any(stands(folder / marker) for marker in _MARKERS)
