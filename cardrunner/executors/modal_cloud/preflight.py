"""The preflight of a run on Modal: everything that can be checked without a container, cheapest first."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlparse

import modal
from modal import exception
from modal.config import config

from cardrunner.card.schema.card import Card
from cardrunner.common.text import did_you_mean
from cardrunner.common.units import format_bytes, format_hourly_rate, rounding_of
from cardrunner.contracts import Fact
from cardrunner.errors import EnvironmentFailed, IntegrityError, NameTaken
from cardrunner.executors.modal_cloud.advice import TOKEN, advised, words
from cardrunner.executors.modal_cloud.spec import ModalInfra, infra_of, storage_of
from cardrunner.executors.modal_cloud.volumes import VolumeFolder
from cardrunner.runs.folder import RunFolder

CONNECT_SECONDS = 5.0
"""How long to wait for a connection to Modal's server; the SDK by itself tries for a minute."""
HELLO_SECONDS = 30.0
"""How long to wait for an answer on that connection; the SDK by itself tries for many minutes."""
WANDB_KEY = "WANDB_API_KEY"


def preflight(card: Card, run: str) -> Iterator[Fact]:
    """Check step by step, and stop at the first fault that would stop a launch.

    Args:
        card: the card.
        run: the run's name.

    Raises:
        EnvironmentFailed: no token, no server, no such volume, data file or secret.
        IntegrityError: a data file has another size than the card says.
        NameTaken: the volume has a run of this name.
    """
    infra = infra_of(card)
    yield reach()
    volume = find_volume(infra.volume)
    yield Fact(name=f"volume {infra.volume}", expected="there", actual="there", ok=True)
    yield from data_facts(card, volume)
    check_free(VolumeFolder(volume, storage_of(infra).folder_of(run)), run, infra.volume)
    yield from secret_facts(infra)
    yield from rate_facts(infra)


def unreachable_reason() -> str | None:
    """Why Modal cannot be asked, found without opening a connection; None if it can."""
    for names in (("token_id", "token_secret"), ("oauth_refresh_token", "oauth_client_id")):
        with contextlib.suppress(KeyError):  # older SDKs lack the setting
            if all(config.get(name) for name in names):
                return None
    return f"there is no Modal token here; {TOKEN}"


def reach() -> Fact:
    """Check that Modal answers and accepts the token.

    Raises:
        EnvironmentFailed: it does not.
    """
    if (why := unreachable_reason()) is not None:
        raise EnvironmentFailed(why)
    server = urlparse(str(config.get("server_url")))
    check_connection(server.hostname or "", server.port or (443 if server.scheme == "https" else 80))
    _check_token(server.netloc)
    return Fact(name="Modal", expected="answers", actual=f"answers at {server.hostname}", ok=True)


def check_connection(host: str, port: int) -> None:
    """Check that a server accepts connections.

    Raises:
        EnvironmentFailed: there was no connection within `CONNECT_SECONDS`.
    """
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise EnvironmentFailed(
            f"Modal does not answer at {host}:{port} ({error.strerror or error}); look at the network and at "
            "status.modal.com"
        ) from None


def _check_token(server: str) -> None:
    """Check that the server speaks Modal's protocol and accepts the token.

    Raises:
        EnvironmentFailed: it refuses the token, or does not answer.
    """
    with advised("use Modal"), ThreadPoolExecutor(1) as apart:  # the caller may have its own event loop
        try:
            apart.submit(asyncio.run, _hello(modal.Client.from_env())).result()
        except TimeoutError:
            raise EnvironmentFailed(
                f"Modal took the connection to {server} and did not answer for {HELLO_SECONDS:g} s; look at proxies "
                "in between, and at status.modal.com"
            ) from None


async def _hello(client: modal.Client) -> None:
    await asyncio.wait_for(client.hello.aio(), HELLO_SECONDS)  # type: ignore[no-untyped-call]


def find_volume(name: str) -> modal.Volume:
    """Look up a volume. It is never created, because that would hide a typo in its name.

    Raises:
        EnvironmentFailed: there is no volume of this name.
    """
    volume = modal.Volume.from_name(name)
    with advised(f"open the volume {name}"):
        try:
            return volume.hydrate()
        except exception.NotFoundError:
            make = f"; make it with `modal volume create {name}`, or correct infra.volume"
            guess = did_you_mean(name, _volume_names(), otherwise=make)
    raise EnvironmentFailed(f"infra.volume: there is no volume {name} in this Modal workspace{guess}")


def _volume_names() -> list[str]:
    try:
        return [volume.name for volume in modal.Volume.objects.list() if volume.name]
    except exception.Error:
        return []


def data_facts(card: Card, volume: modal.Volume) -> Iterator[Fact]:
    """The card's data files on the volume, and their sizes.

    Raises:
        EnvironmentFailed: one is not there.
        IntegrityError: one has another size than the card says.
    """
    if card.data.is_synthetic:
        return
    root, total = VolumeFolder(volume, ""), 0
    patterns = [entry.path for entry in card.data.source if entry.is_pattern]
    for path in patterns:
        yield Fact(name=path, expected=None, actual="left to the check in a container, which lists the files", ok=True)
    for entry in (entry for entry in card.data.source if not entry.is_pattern):
        with advised(f"look at {entry.path} on the volume"):
            size = root.size(entry.path.strip("/"))
        if size is None:
            raise EnvironmentFailed(
                f"data.source: {entry.path} is not on the volume {volume.name}; "
                "`cardrunner upload FILE CARD` puts it there"
            )
        total += size
        yield _size_fact(entry.path, entry.size, size)
    if not patterns:
        yield _size_fact("data.size", card.data.size, total)


def _size_fact(name: str, expected: int | None, found: int) -> Fact:
    actual = f"{format_bytes(found)} ({found} bytes)"
    if expected is not None and abs(found - expected) > rounding_of(float(expected)):
        raise IntegrityError(f"{name} has {actual} on the volume, the card says {format_bytes(expected)}")
    return Fact(name=name, expected=None if expected is None else format_bytes(expected), actual=actual, ok=True)


def check_free(volume_folder: VolumeFolder, run: str, volume: str) -> None:
    """Check that a run's folder can be made on the volume.

    Raises:
        NameTaken: something is there.
    """
    with advised(f"look at {volume_folder.path} on the volume"):
        files = volume_folder.files()
    if RunFolder(Path()).launch.name in files:
        raise NameTaken(
            f"the volume {volume} has a run {run} already, in {volume_folder.path}; "
            f"watch it with `cardrunner attach {run}`, or give the card a new name and have it signed"
        )
    if files:
        raise NameTaken(f"{volume_folder.path} on the volume {volume} holds something else than a run; move it away")


def secret_facts(infra: ModalInfra) -> Iterator[Fact]:
    """The card's secrets, and the key that the tracker needs in one of them.

    Raises:
        EnvironmentFailed: a secret is not there, or none has the key.
    """
    for name in infra.secrets:
        with advised(f"find the secret {name} (infra.secrets)"):
            modal.Secret.from_name(name).hydrate()
        yield Fact(name=f"secret {name}", expected="there", actual="there", ok=True)
    if infra.tracking.settings_of("wandb") and infra.secrets:
        yield _with_key(infra)


def _with_key(infra: ModalInfra) -> Fact:
    problem = ""
    for name in infra.secrets:
        try:
            modal.Secret.from_name(name, required_keys=[WANDB_KEY]).hydrate()
        except exception.NotFoundError as error:
            problem = words(error)
        else:
            return Fact(name=WANDB_KEY, expected="in a secret", actual=f"in {name}", ok=True)
    raise EnvironmentFailed(
        f"infra.secrets: none of {', '.join(infra.secrets)} has the key {WANDB_KEY}, which infra.tracking.wandb needs "
        f"({problem}); add it with `modal secret create --force {infra.secrets[0]} {WANDB_KEY}=...`"
    )


def rate_facts(infra: ModalInfra) -> Iterator[Fact]:
    """The current price of the GPU, if Modal states it; a difference is a warning."""
    try:
        rates = dict(modal.Workspace.from_context().billing.rates())
    except (exception.Error, AttributeError, ConnectionError):
        return  # a missing price does not stop a launch
    wanted = infra.gpu.lower().replace("-", "_").rstrip("!+")
    found = next((float(rate) for name, rate in rates.items() if name.lower().replace("-", "_").endswith(wanted)), None)
    if found is None or infra.price is None:
        return
    agrees = abs(found - infra.price) <= 0.05 * infra.price
    yield Fact(
        name=f"price of {infra.gpu}",
        expected=format_hourly_rate(infra.price),
        actual=format_hourly_rate(found),
        ok=agrees,
        severity="warning",
        note=None if agrees else "the card's price is what cost and budget are counted with",
    )
