"""The image of a run's containers: what is installed and copied into it, and the record with its digest."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from tempfile import TemporaryDirectory

import modal

import cardrunner
from cardrunner.card.schema.card import Card
from cardrunner.common.lock_file import Locked, normalized, read_lock
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import MOUNT
from cardrunner.executors.modal_cloud.snapshot import ARCHIVE, pack
from cardrunner.executors.modal_cloud.spec import ModalInfra, infra_of
from cardrunner.plugins import Plugin
from cardrunner.runs.environment import code_sha256, plugin_code, plugin_modules
from cardrunner.runs.folder import RunFolder
from cardrunner.runs.records import ImageRecord, KeptCode, find_record
from cardrunner.workspace import VOLUME_VARIABLE

PINS = {"torch": "2.13.0"}
"""Versions to install when the package is not installed here, and there is no version to copy."""
_HOME = "/root"
"""Where Modal's containers look for code."""
_DISTRIBUTION = "cardrunner"
_NOT_THERE = {"all", "modal", "test"}
_TRACKERS = ("wandb", "tensorboard")
"""Extras that a script's worker may need; what trains is among the script's own packages."""
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?P<range>[^;]*?)\s*(?:;(?P<marker>.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["'](?P<extra>[^"']+)["']""")
_COMPILED = ("**/__pycache__", "**/*.pyc")


@dataclass(frozen=True)
class Requirement:
    """One requirement that a package declares."""

    name: str
    range: str
    extra: str | None

    @property
    def pinned(self) -> str:
        """The version installed here, without a local suffix such as ``+cpu``; else as declared."""
        try:
            return f"{self.name}=={version(self.name).partition('+')[0]}"
        except PackageNotFoundError:
            return f"{self.name}=={PINS[self.name]}" if self.name in PINS else f"{self.name}{self.range}"


@dataclass(frozen=True)
class Contents:
    """What an image holds beside Modal's own base.

    Args:
        infra: the card's section.
        plugins: the plug-ins that the run uses.
        folder: the run whose code is carried; None for one without code of its own.
        lock: what the lock file of that code lists.
    """

    infra: ModalInfra
    plugins: tuple[Plugin, ...] = ()
    folder: RunFolder | None = None
    lock: tuple[Locked, ...] = ()

    @classmethod
    def of(cls, folder: RunFolder, card: Card, plugins: Sequence[Plugin]) -> Contents:
        """The contents for a run.

        Raises:
            UsageError: its lock file cannot be used.
            IntegrityError: the record of its code is damaged.
        """
        kept = find_record(folder.code_record, KeptCode)
        if kept is None:
            return cls(infra_of(card), tuple(plugins))
        name = card.code.lock if card.code is not None else None
        lock = read_lock(folder.code / kept.folder / name, field="code.lock") if name is not None else ()
        return cls(infra_of(card), tuple(plugins), folder, lock)

    @property
    def requirements(self) -> tuple[str, ...]:
        """What is installed with pip: what containers need, by name, then the lock file's and the card's own.

        Raises:
            EnvironmentFailed: this package is not installed here, so its requirements are unknown.
        """
        locked = {each.name for each in self.lock}
        own = {each.name: each for each in declared() if self._wants(each) and each.name != _DISTRIBUTION}
        for plugin in self.plugins:
            theirs = (each for each in declared(plugin.package) if each.extra is None)
            own |= {each.name: each for each in theirs if each.name not in own and each.name != _DISTRIBUTION}
        # where the lock has a version, the range alone is left to hold it against
        lines = (
            own[name].pinned if normalized(name) not in locked else f"{name}{own[name].range}" for name in sorted(own)
        )
        return (*lines, *map(str, self.lock), *self.infra.packages)

    def _wants(self, requirement: Requirement) -> bool:
        """Whether containers need a requirement of this package."""
        extra, tracking = requirement.extra, self.infra.tracking
        if extra in _TRACKERS and (self.folder is not None or extra == "wandb"):
            return bool(tracking.settings_of(extra))
        return extra is None or (self.folder is None and extra not in _NOT_THERE)

    @property
    def record(self) -> ImageRecord:
        """What the image is made from, with a digest over all of it.

        Raises:
            EnvironmentFailed: see `requirements`.
        """
        kept = find_record(self.folder.code_record, KeptCode) if self.folder is not None else None
        content = ImageRecord(
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
            packages=self.requirements,
            system_packages=self.infra.system_packages,
            sources=code_sha256(_DISTRIBUTION),
            plugins=plugin_code(self.plugins),
            code=kept.sha256 if kept is not None else None,
            sha256="",
        )
        text = json.dumps(content.model_dump(mode="json", exclude={"sha256"}), sort_keys=True)
        return content.model_copy(update={"sha256": hashlib.sha256(text.encode()).hexdigest()})


def declared(package: str = _DISTRIBUTION) -> Iterator[Requirement]:
    """The requirements that a package declares, including extras.

    Raises:
        EnvironmentFailed: it is not installed here.
    """
    try:
        lines: Sequence[str] = distribution(package).requires or ()
    except PackageNotFoundError:
        raise EnvironmentFailed(
            f"{package} runs from a folder that was never installed; `pip install -e .` there, so that the image can "
            "be given the same packages"
        ) from None
    for line in lines:
        if (found := _REQUIREMENT.fullmatch(line)) is not None:
            extra = _EXTRA.search(found["marker"] or "")
            yield Requirement(found["name"].lower(), found["range"].replace(" ", ""), extra["extra"] if extra else None)


@contextmanager
def image_of(contents: Contents) -> Iterator[modal.Image]:
    """The image of a run's containers; its files exist until the block ends.

    Raises:
        EnvironmentFailed: see `Contents.requirements`; or a plug-in has code that is made for this machine.
    """
    image = _installed(
        modal.Image.debian_slim(python_version=f"{sys.version_info[0]}.{sys.version_info[1]}"), contents
    ).env({VOLUME_VARIABLE: MOUNT})
    package = Path(cardrunner.__file__).parent
    with TemporaryDirectory() as scratch:
        image = image.add_local_dir(package, f"{_HOME}/{package.name}", ignore=list(_COMPILED))
        for name, path in _metadata(distribution(_DISTRIBUTION), Path(scratch), ("METADATA",)).items():
            image = image.add_local_file(path, f"{_HOME}/{name}")
        for plugin in {plugin.package: plugin for plugin in contents.plugins}.values():
            image = _with_plugin(image, plugin, [each.module for each in contents.plugins], Path(scratch))
        if contents.folder is not None:
            archive = Path(scratch) / ARCHIVE
            pack(contents.folder, archive)
            image = image.add_local_file(archive, f"{_HOME}/{ARCHIVE}")
        yield image


def _with_plugin(image: modal.Image, plugin: Plugin, modules: Sequence[str], scratch: Path) -> modal.Image:
    """The image with the sources of the package of a plug-in, and the metadata by which it is found there."""
    for name in sorted({*plugin_modules(plugin.package), *_of_package(plugin.package, modules)}):
        for place in _places(name):
            _check_carried(plugin, place)
            if place.is_dir():
                image = image.add_local_dir(place, f"{_HOME}/{name}", ignore=list(_COMPILED))
            else:
                image = image.add_local_file(place, f"{_HOME}/{place.name}")
    for name, path in _metadata(distribution(plugin.package), scratch, ("METADATA", "entry_points.txt")).items():
        image = image.add_local_file(path, f"{_HOME}/{name}")
    return image


def _of_package(package: str, modules: Sequence[str]) -> Iterator[str]:
    """The modules of plug-ins that belong to a package by its entry points."""
    points = distribution(package).entry_points
    own = {point.value.partition(":")[0].partition(".")[0] for point in points}
    yield from (module for module in modules if module in own)


def _places(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    return folders or ([Path(spec.origin)] if spec and spec.origin else [])


def _check_carried(plugin: Plugin, place: Path) -> None:
    found = [place] if place.is_file() else list(place.rglob("*"))
    built = next((path for path in found if path.suffix in (".so", ".pyd", ".dylib")), None)
    if built is not None:
        raise EnvironmentFailed(
            f"{plugin} cannot be carried to Modal: {built} is compiled for this machine; publish the package, and name "
            "it in infra.packages"
        )


def _metadata(found: Distribution, scratch: Path, names: Sequence[str]) -> Mapping[str, Path]:
    """Files of the metadata of a package, installed as a wheel or from its folder, by their place in the image."""
    folder = f"{found.name}-{found.version}.dist-info"
    written: dict[str, Path] = {}
    for name in names:
        text = found.read_text(name) or (found.read_text("PKG-INFO") if name == "METADATA" else None) or ""
        path = scratch / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written[f"{folder}/{name}"] = path
    return written


def _installed(base: modal.Image, contents: Contents) -> modal.Image:
    system = contents.infra.system_packages
    return (base.apt_install(*system) if system else base).uv_pip_install(*contents.requirements)
