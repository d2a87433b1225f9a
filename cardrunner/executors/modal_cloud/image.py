"""The image: this package's own source, and the packages it needs, in the versions that are installed here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from tempfile import TemporaryDirectory

import modal

import cardrunner
from cardrunner.card.schema.infra import ModalInfra
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import MOUNT
from cardrunner.workspace import VOLUME_VARIABLE

PINS = {"torch": "2.13.0"}
"""For a machine without the package, where no version can be copied."""
_HOME = "/root"
"""Where Modal's containers look for code."""
_DISTRIBUTION = "cardrunner"
_NOT_THERE = {"all", "modal", "test"}
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?P<range>[^;]*?)\s*(?:;(?P<marker>.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["'](?P<extra>[^"']+)["']""")
_COMPILED = ("**/__pycache__", "**/*.pyc")


@dataclass(frozen=True)
class Requirement:
    """One line of what the package declares."""

    name: str
    range: str
    extra: str | None

    @property
    def pinned(self) -> str:
        """As it is installed here, without a local suffix such as ``+cpu``; else as declared."""
        try:
            return f"{self.name}=={version(self.name).partition('+')[0]}"
        except PackageNotFoundError:
            return f"{self.name}=={PINS[self.name]}" if self.name in PINS else f"{self.name}{self.range}"


def requirements(infra: ModalInfra) -> tuple[str, ...]:
    """What the image installs with pip: everything declared that runs there, by name, then the card's own.

    Raises:
        EnvironmentFailed: this package is not installed here, so that nobody knows what it needs.
    """
    without = _NOT_THERE if infra.tracking.wandb else _NOT_THERE | {"wandb"}
    own = {each.name: each for each in declared() if each.extra not in without and each.name != _DISTRIBUTION}
    return (*(own[name].pinned for name in sorted(own)), *infra.packages)


def declared() -> Iterator[Requirement]:
    """What this package declares, extras too."""
    try:
        lines: Sequence[str] = distribution(_DISTRIBUTION).requires or ()
    except PackageNotFoundError:
        raise EnvironmentFailed(
            "cardrunner runs from a folder that was never installed; `pip install -e .` there, so that the image can "
            "be given the same packages"
        ) from None
    for line in lines:
        if (found := _REQUIREMENT.fullmatch(line)) is not None:
            extra = _EXTRA.search(found["marker"] or "")
            yield Requirement(found["name"].lower(), found["range"].replace(" ", ""), extra["extra"] if extra else None)


@contextmanager
def image_of(infra: ModalInfra) -> Iterator[modal.Image]:
    """The image of a card's containers; files that belong to it are there until the block is left.

    Raises:
        EnvironmentFailed: see `requirements`.
    """
    installed = _installed(
        modal.Image.debian_slim(python_version=f"{sys.version_info[0]}.{sys.version_info[1]}"), infra
    )
    package = Path(cardrunner.__file__).parent
    with TemporaryDirectory() as folder:
        metadata = Path(folder) / "METADATA"
        metadata.write_text(_metadata(), encoding="utf-8")
        there = f"{_HOME}/{_DISTRIBUTION}-{version(_DISTRIBUTION)}.dist-info/METADATA"
        yield (
            installed.env({VOLUME_VARIABLE: MOUNT})
            .add_local_dir(package, f"{_HOME}/{package.name}", ignore=list(_COMPILED))
            .add_local_file(metadata, there)
        )


def _metadata() -> str:
    """What this package declares, as it is installed here: as a wheel, or from its folder."""
    found = distribution(_DISTRIBUTION)
    return found.read_text("METADATA") or found.read_text("PKG-INFO") or ""


def _installed(base: modal.Image, infra: ModalInfra) -> modal.Image:
    system: Iterable[str] = infra.system_packages
    return (base.apt_install(*system) if system else base).uv_pip_install(*requirements(infra))
