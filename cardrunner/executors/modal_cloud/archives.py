"""Encodes an archive of recordings on a volume in many containers at once. Finished parts are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import modal

from cardrunner.card.schema.card import Card
from cardrunner.common.units import format_bytes
from cardrunner.contracts import Archive, Progress
from cardrunner.errors import EnvironmentFailed, UsageError
from cardrunner.executors.modal_cloud import MOUNT
from cardrunner.executors.modal_cloud.advice import advised, check_answer, words
from cardrunner.executors.modal_cloud.archive_functions import (
    CORES,
    ArchiveOrder,
    encode_part,
    join_parts,
    list_archive,
)
from cardrunner.executors.modal_cloud.image import Contents, image_of
from cardrunner.executors.modal_cloud.preflight import find_volume, reach
from cardrunner.executors.modal_cloud.spec import infra_of
from cardrunner.executors.modal_cloud.volumes import VolumeFolder

MOST_CONTAINERS = 50
"""At a time. All of them commit to one volume."""
_PART_MIB, _JOIN_MIB = 4096, 16384
_SECONDS = 24 * 3600
_SHOWN = 3
_MIB = 2**20
USUAL_DISK_MIB, LARGEST_DISK_MIB = 512 * 1024, 3 * 1024 * 1024
"""The default disk of a container and the largest that can be requested, from Modal's documentation."""


def encode_archive(card: Card, archive: Archive, *, progress: Progress) -> tuple[str, ...]:
    """Encode an archive on the card's volume to one file there.

    Parts that an interrupted call has encoded are reused.

    Returns:
        lines for people: the skipped recordings with reasons, then the result.

    Raises:
        UsageError: the file exists.
        EnvironmentFailed: there is nothing to encode, a part failed, or Modal cannot be reached.
    """
    infra = infra_of(card)
    reach()
    volume = find_volume(infra.volume)
    with advised(f"look at {archive.output} on the volume"):
        if VolumeFolder(volume, "").has(archive.output.strip("/")):
            raise UsageError(f"{archive.output} is on the volume {infra.volume} already; give another name after -o")
    order = ArchiveOrder(volume=infra.volume, **vars(archive)).model_dump(mode="json")
    with advised("encode on Modal"), _encoding(card) as (listing, part):
        listed = _checked(listing.remote(order))
        progress.note(f"{listed['files']} recordings in {listed['parts']} parts")
        reports = _encoded(part, int(listed["parts"]), order, progress)
    disk = disk_to_join(sum(report["bytes"] for report in reports), archive.output)
    with advised("join the parts on Modal"), _joining(card, disk) as join:
        made = _checked(join.remote(int(listed["parts"]), order))
    skipped = [f"skipped {path}: {reason}" for report in reports for path, reason in report["skipped"]]
    left_out = f"; {len(skipped)} of {listed['files']} recordings skipped" if skipped else ""
    counts = ", ".join(f"{value:,} {what}" for what, value in made.items())
    return (*skipped, f"{archive.output} on the volume {infra.volume}: {counts}{left_out}")


def disk_to_join(size: int, output: str) -> int | None:
    """MiB of disk that a container needs to join parts of `size` bytes; None if the default disk is enough.

    The parts and the joined file are on it at the same time.

    Raises:
        EnvironmentFailed: it exceeds the largest disk.
    """
    needed = math.ceil(2.1 * size / _MIB)
    if needed > LARGEST_DISK_MIB:
        raise EnvironmentFailed(
            f"{output} would have {format_bytes(size)}; joining takes twice that, and a container has at most "
            f"{format_bytes(LARGEST_DISK_MIB * _MIB)} of disk: encode half of the folders to another file, and "
            "list both under data.source"
        )
    return needed if needed > USUAL_DISK_MIB else None


@contextmanager
def _encoding(card: Card) -> Iterator[tuple[Any, Any]]:
    """The functions that list an archive and encode a part, in an app that ends with this process."""
    with _app(card) as (app, common):
        listing = app.function(name=list_archive.__name__, memory=_PART_MIB, **common)(list_archive)
        part = app.function(
            name=encode_part.__name__,
            memory=_PART_MIB,
            retries=2,
            max_containers=MOST_CONTAINERS,
            single_use_containers=True,  # a new container sees the latest commit
            **common,
        )(encode_part)
        with app.run():
            yield listing, part


@contextmanager
def _joining(card: Card, disk: int | None) -> Iterator[Any]:
    """The function that joins parts, in its own app, because its disk size depends on the encoded parts."""
    with _app(card) as (app, common):
        join = app.function(name=join_parts.__name__, memory=_JOIN_MIB, ephemeral_disk=disk, **common)(join_parts)
        with app.run():
            yield join


@contextmanager
def _app(card: Card) -> Iterator[tuple[modal.App, dict[str, Any]]]:
    infra = infra_of(card)
    with image_of(Contents(infra)) as image:
        yield (
            modal.App("cardrunner-encode", include_source=False),
            {
                "image": image,
                "include_source": False,
                "volumes": {MOUNT: modal.Volume.from_name(infra.volume)},
                "timeout": _SECONDS,
                "cpu": float(CORES),
            },
        )


def _encoded(part: Any, count: int, order: Mapping[str, Any], progress: Progress) -> list[Mapping[str, Any]]:
    """Encode every part; their reports.

    Raises:
        EnvironmentFailed: some parts failed in every try; the others are kept.
    """
    reports: list[Mapping[str, Any]] = []
    failed: list[str] = []
    with progress.task("encode", count, unit="parts") as task:
        for found in part.map(range(count), kwargs={"submitted": order}, return_exceptions=True):
            if isinstance(found, BaseException):
                failed.append(words(found))
            else:
                reports.append(found)
            task.advance()
    if failed:
        shown = "; ".join(dict.fromkeys(failed[:_SHOWN]))
        raise EnvironmentFailed(
            f"{len(failed)} of {count} parts could not be encoded ({shown}); the others are kept: "
            "run the same command again"
        )
    return reports


def _checked(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    check_answer(answer, "on Modal")
    return answer
