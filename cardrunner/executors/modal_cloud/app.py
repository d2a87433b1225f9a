"""The app of a run: its image, volume, secrets and functions, from the card alone."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import modal

import cardrunner
from cardrunner.card.schema.card import Card
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import MOUNT
from cardrunner.executors.modal_cloud.functions import preflight, train
from cardrunner.executors.modal_cloud.spec import ModalInfra, infra_of
from cardrunner.workspace import VOLUME_VARIABLE

PINS = {"torch": "2.13.0"}
"""Versions to install when the package is not installed here, and there is no version to copy."""
_HOME = "/root"
"""Where Modal's containers look for code."""
_DISTRIBUTION = "cardrunner"
_NOT_THERE = {"all", "modal", "test"}
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?P<range>[^;]*?)\s*(?:;(?P<marker>.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["'](?P<extra>[^"']+)["']""")
_COMPILED = ("**/__pycache__", "**/*.pyc")


@dataclass(frozen=True)
class Requirement:
    """One requirement that the package declares."""

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


def requirements(infra: ModalInfra) -> tuple[str, ...]:
    """What the image installs with pip: the declared requirements that containers need, by name, then the card's own.

    Raises:
        EnvironmentFailed: this package is not installed here, so its requirements are unknown.
    """
    without = _NOT_THERE if infra.tracking.settings_of("wandb") else _NOT_THERE | {"wandb"}
    own = {each.name: each for each in declared() if each.extra not in without and each.name != _DISTRIBUTION}
    return (*(own[name].pinned for name in sorted(own)), *infra.packages)


def declared() -> Iterator[Requirement]:
    """The requirements that this package declares, including extras."""
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
    """The image of a card's containers; its files exist until the block ends.

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
    """The metadata of this package, installed as a wheel or from its folder."""
    found = distribution(_DISTRIBUTION)
    return found.read_text("METADATA") or found.read_text("PKG-INFO") or ""


def _installed(base: modal.Image, infra: ModalInfra) -> modal.Image:
    system: Iterable[str] = infra.system_packages
    return (base.apt_install(*system) if system else base).uv_pip_install(*requirements(infra))


MIB = 2**20
STARTUP_SECONDS = 1800
"""How long a container may take to come up; it does not count against the card's timeout."""
_PREFLIGHT_SECONDS = 3600
_PREFLIGHT_MIB = 4096


@dataclass(frozen=True)
class Built:
    """The app and the functions of one submission."""

    app: modal.App
    train: Any
    preflight: Any


@contextmanager
def built(card: Card, run: str, submission: str) -> Iterator[Built]:
    """Build the app of one submission, without sending anything.

    Raises:
        EnvironmentFailed: see `image_of`.
    """
    infra = infra_of(card)
    app = modal.App(
        app_name(run), include_source=False, tags={"cardrunner-run": run, "cardrunner-submission": submission}
    )
    with image_of(infra) as image:
        common: dict[str, Any] = {
            "image": image,
            "include_source": False,
            "single_use_containers": True,
            "volumes": {MOUNT: modal.Volume.from_name(infra.volume)},
            "secrets": [modal.Secret.from_name(name) for name in infra.secrets],
        }
        yield Built(
            app=app,
            train=app.function(
                name=train.__name__,
                gpu=gpu_of(infra),
                cpu=infra.cpu,
                memory=memory_of(infra),
                timeout=math.ceil(infra.timeout),
                startup_timeout=STARTUP_SECONDS,
                # the delays of Modal's own recipe for long training: the next attempt begins at once
                retries=modal.Retries(max_retries=infra.retries, initial_delay=0.0, backoff_coefficient=1.0),
                **common,
            )(train),
            preflight=app.function(
                name=preflight.__name__,
                memory=max(_PREFLIGHT_MIB, memory_of(infra) or 0),  # it opens the same data as training
                timeout=_PREFLIGHT_SECONDS,
                **common,
            )(preflight),
        )


def check_recorded(function: Any, card: Card) -> None:
    """Check the server's record of the training function against the card, before it is called.

    Raises:
        EnvironmentFailed: a limit differs from the signed one.
    """
    if isinstance(getattr(type(function), "info", None), property):  # an older SDK, which only repeats the request
        return
    infra, found = infra_of(card), function.info()
    asked: dict[str, object] = {
        "timeout": math.ceil(infra.timeout),
        "max_retries": infra.retries,
        "cpu": infra.cpu,
        "memory_mib": memory_of(infra),
    }
    rows = [(name, getattr(found, name), value) for name, value in asked.items() if value is not None]
    different = [(name, there, value) for name, there, value in rows if (there or 0) != value]
    if not _is_same_gpu(found.gpus, infra):
        different.insert(0, ("gpus", found.gpus, [(infra.gpu, infra.gpus)]))
    for name, there, value in different:
        raise EnvironmentFailed(
            f"Modal recorded {name} {there} for the training function, the card says {value}; nothing was started: "
            "check the limits of the Modal workspace"
        )


def _is_same_gpu(found: Sequence[tuple[str, int]], infra: ModalInfra) -> bool:
    """Whether the recorded GPU is the card's. Modal may record A100 as A100-40GB."""
    if len(found) != 1 or found[0][1] != infra.gpus:
        return False
    there, asked = found[0][0].rstrip("!+"), infra.gpu.rstrip("!+")
    return there == asked or there.startswith(f"{asked}-")


def app_name(run: str) -> str:
    """The name of a run's app on Modal's pages."""
    return f"cardrunner-{run}"


def gpu_of(infra: ModalInfra) -> str:
    """``T4``, or ``H100:8``."""
    return infra.gpu if infra.gpus == 1 else f"{infra.gpu}:{infra.gpus}"


def memory_of(infra: ModalInfra) -> int | None:
    """MiB of memory to request; None for Modal's default."""
    return None if infra.memory is None else math.ceil(infra.memory / MIB)
