"""The app of a run: its volume, secrets and functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import modal

from cardrunner.card.schema.card import Card
from cardrunner.errors import EnvironmentFailed
from cardrunner.executors.modal_cloud import MOUNT
from cardrunner.executors.modal_cloud.functions import preflight, train
from cardrunner.executors.modal_cloud.image import Contents, image_of
from cardrunner.executors.modal_cloud.spec import ModalInfra, infra_of

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
def built(contents: Contents, run: str, submission: str) -> Iterator[Built]:
    """Build the app of one submission, without sending anything.

    Raises:
        EnvironmentFailed: see `image_of`.
    """
    infra = contents.infra
    app = modal.App(
        app_name(run), include_source=False, tags={"cardrunner-run": run, "cardrunner-submission": submission}
    )
    with image_of(contents) as image:
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
