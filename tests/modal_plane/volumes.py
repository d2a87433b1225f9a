"""Volumes: what is committed, and the private copies of containers."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpclib
from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb

from tests.modal_plane.transfers import BLOCK
from tests.modal_plane.wire import rpc
from tests.modal_plane.world import Container, Mounted, Volume, World, found, refuse


class Volumes:
    """Listing, reading, writing and committing; both versions of the file system."""

    def __init__(self, world: World) -> None:
        self.world = world

    @rpc("VolumeGetOrCreate")
    def get(self, request: Any, container: Container | None) -> pb.VolumeGetOrCreateResponse:
        name, volume = request.deployment_name, self.world.volume_of(request.deployment_name)
        if volume is None:
            if request.object_creation_type == pb.OBJECT_CREATION_TYPE_UNSPECIFIED:
                refuse(grpclib.Status.NOT_FOUND, f"Volume '{name}' not found in environment 'main'")
            volume = self.world.add_volume(name, request.version)
        return pb.VolumeGetOrCreateResponse(volume_id=volume.id, metadata=described(volume))

    @rpc("VolumeList")
    def names(self, request: Any, container: Container | None) -> pb.VolumeListResponse:
        known = self.world.volumes.values()
        items = [pb.VolumeListItem(volume_id=each.id, label=each.name, metadata=described(each)) for each in known]
        return pb.VolumeListResponse(items=items)

    @rpc("VolumeListFiles")
    async def list_files(self, request: Any, container: Container | None) -> AsyncIterator[pb.VolumeListFilesResponse]:
        yield pb.VolumeListFilesResponse(entries=list(self._entries(request)))

    @rpc("VolumeListFiles2")
    async def list_files_2(
        self, request: Any, container: Container | None
    ) -> AsyncIterator[pb.VolumeListFiles2Response]:
        yield pb.VolumeListFiles2Response(entries=list(self._entries(request)))

    def _entries(self, request: Any) -> Iterator[pb.FileEntry]:
        volume = found(self.world.volumes, request.volume_id, "Volume")
        place = volume.path(request.path)
        if not place.exists():
            refuse(grpclib.Status.NOT_FOUND, f"{request.path}: No such file or directory")
        inside = sorted(place.rglob("*") if request.recursive else place.iterdir()) if place.is_dir() else [place]
        for path in inside:
            status = path.stat()
            yield pb.FileEntry(
                path=str(path.relative_to(volume.folder.resolve())),
                type=pb.FileEntry.FILE if path.is_file() else pb.FileEntry.DIRECTORY,
                mtime=int(status.st_mtime),
                size=status.st_size,
            )

    @rpc("VolumeGetFile2")
    def read(self, request: Any, container: Container | None) -> pb.VolumeGetFile2Response:
        volume = found(self.world.volumes, request.volume_id, "Volume")
        place = volume.path(request.path)
        if not place.is_file():
            refuse(grpclib.Status.NOT_FOUND, f"{request.path}: No such file")
        data = place.read_bytes()
        if self.world.faults.short_reads and place.suffix == ".pt":
            self.world.faults.short_reads -= 1
            data = data[: len(data) // 2]
        key = self.world.new_id("dl")
        self.world.downloads[key] = data
        urls = [f"{self.world.http}/read/{key}/{number}" for number in range(-(-len(data) // BLOCK))]
        return pb.VolumeGetFile2Response(size=len(data), start=0, len=len(data), get_urls=urls)

    @rpc("VolumePutFiles")
    def put(self, request: Any, container: Container | None) -> Empty:
        volume = found(self.world.volumes, request.volume_id, "Volume")
        for file in request.files:
            place = volume.path(file.filename)
            self._check_free(place, request)
            replace(self.world.place("files", file.sha256_hex), place)
        return Empty()

    @rpc("VolumePutFiles2")
    def put_2(self, request: Any, container: Container | None) -> pb.VolumePutFiles2Response:
        """Twice: first it says which blocks it wants, then it is told what became of them."""
        volume = found(self.world.volumes, request.volume_id, "Volume")
        for file in request.files:
            self._check_free(volume.path(file.path), request)
        missing = [
            pb.VolumePutFiles2Response.MissingBlock(
                file_index=number, block_index=index, put_url=f"{self.world.http}/blob/{self.world.new_id('bk')}"
            )
            for number, file in enumerate(request.files)
            for index, block in enumerate(file.blocks)
            if not block.put_response
        ]
        if not missing:
            for file in request.files:
                self._join(file, volume.path(file.path))
        return pb.VolumePutFiles2Response(missing_blocks=missing)

    def _check_free(self, place: Path, request: Any) -> None:
        if place.exists() and request.disallow_overwrite_existing_files:
            refuse(grpclib.Status.ALREADY_EXISTS, f"{place.name} already exists")

    def _join(self, file: Any, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as out:
            for index, block in enumerate(file.blocks):
                data = self.world.place("blobs", block.put_response.decode()).read_bytes()
                out.write(data.ljust(min(BLOCK, file.size - index * BLOCK), b"\0"))

    @rpc("VolumeRemoveFile", "VolumeRemoveFile2")
    def remove(self, request: Any, container: Container | None) -> Empty:
        place = found(self.world.volumes, request.volume_id, "Volume").path(request.path)
        if not place.exists():
            refuse(grpclib.Status.NOT_FOUND, f"{request.path}: No such file or directory")
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        return Empty()

    @rpc("VolumeCommit")
    def commit(self, request: Any, container: Container | None) -> pb.VolumeCommitResponse:
        mounted = self._mounted(request, container)
        faults = self.world.faults
        if faults.commits_full:
            refuse(grpclib.Status.RESOURCE_EXHAUSTED, "volume has no space left")
        if faults.commits:
            faults.commits -= 1
            refuse(grpclib.Status.ABORTED, "commit failed")
        if faults.forget:
            faults.forgotten += 1
        else:
            publish(mounted)
        assert container is not None
        for listener in tuple(self.world.after_commit):
            listener(container)
        return pb.VolumeCommitResponse(skip_reload=True)

    @rpc("VolumeReload")
    def reload(self, request: Any, container: Container | None) -> Empty:
        fill(self._mounted(request, container))
        return Empty()

    def _mounted(self, request: Any, container: Container | None) -> Mounted:
        if container is None or request.volume_id not in container.mounted:
            refuse(grpclib.Status.FAILED_PRECONDITION, "only a container that mounts the volume can do that")
        assert container is not None
        return container.mounted[request.volume_id]


def described(volume: Volume) -> pb.VolumeMetadata:
    """What a client knows of a volume."""
    version: Any = volume.version
    return pb.VolumeMetadata(name=volume.name, version=version)


def fill(mounted: Mounted) -> None:
    """Bring a private copy up to what is committed."""
    shutil.copytree(mounted.volume.folder, mounted.folder, dirs_exist_ok=True)
    mounted.seen = snapshot(mounted.folder)


def publish(mounted: Mounted) -> None:
    """Commit what changed in a private copy since it was filled; whoever commits a file last wins."""
    now = snapshot(mounted.folder)
    for name in now.keys() - {name for name, stamp in mounted.seen.items() if now.get(name) == stamp}:
        replace(mounted.folder / name, mounted.volume.folder / name)
    for name in mounted.seen.keys() - now.keys():
        (mounted.volume.folder / name).unlink(missing_ok=True)
    mounted.seen = now


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and when it was changed."""
    stats = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)): (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def replace(source: Path, place: Path) -> None:
    """Copy a file so that readers see the old one or the new one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{os.getpid()}.copy")
    shutil.copy(source, part)
    part.replace(place)
