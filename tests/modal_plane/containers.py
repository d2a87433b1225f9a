"""Containers: processes of the SDK's own entrypoint, with private copies of the volumes that they mount."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modal_proto import api_pb2 as pb

from tests.modal_plane.volumes import fill
from tests.modal_plane.world import Container, Input, LogLine, Mounted, Process, World

ENTRYPOINT = "modal._container_entrypoint"
SKEWED = """
import datetime, time
from cardrunner.common import clock
right = time.time
time.time = lambda: right() + {}
class Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)
clock.datetime = Skewed
"""
"""Lets a clock run ahead by some seconds."""
Start = Callable[[Mapping[str, str], Path], Process]
"""Starts the entrypoint with an environment in a folder, where its files `out` and `err` go."""
_KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE", "MPLBACKEND")


def executed(environment: Mapping[str, str], folder: Path) -> Process:
    """A fresh interpreter, in which nothing is imported and this package comes from what was uploaded."""
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-m", ENTRYPOINT],
            env=dict(environment),
            cwd=folder / "root",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


class Launcher:
    """Makes containers.

    Args:
        world: what they see.
        serve: a gRPC server for one container.
        layout: what a container knows of its app.
    """

    def __init__(self, world: World, serve: Callable[[Container], Any], layout: Callable[[Any], pb.AppLayout]) -> None:
        self.world, self._serve, self._layout = world, serve, layout
        self.begin: Start = executed
        self._servers: dict[str, Any] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._sockets = Path(tempfile.mkdtemp(prefix="plane-"))  # a socket's path has to be short

    async def start(self, item: Input) -> Container:
        """A container for one attempt at an input."""
        number = self.world.new_id("ta")
        container = Container(number, item, self.world.root / "containers" / number)
        self.world.containers[number] = container
        container.folder.mkdir(parents=True)
        (container.folder / "root").symlink_to(self._files_of(container) / "root")
        self._add_volumes(container)
        socket = self._sockets / number[-8:]
        self._servers[number] = self._serve(container)
        await self._servers[number].start(path=str(socket))
        (container.folder / "arguments").write_bytes(self._arguments(container).SerializeToString())
        container.process = self.begin(self._environment(container, socket), container.folder)
        self._pumps[number] = asyncio.create_task(self._pump(container))
        return container

    async def finish(self, container: Container) -> None:
        """Clear up after a container whose process ended: nothing in it lives on."""
        for pid in container.family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self._pumps.pop(container.id)
        server = self._servers.pop(container.id)
        server.close()
        await server.wait_closed()
        shutil.rmtree(container.folder, ignore_errors=True)

    def close(self) -> None:
        """Remove what is left."""
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _files_of(self, container: Container) -> Path:
        """The files that were uploaded for its code, laid out once for all containers that have the same."""
        mounts = (self.world.mounts.get(mount, []) for mount in container.function.definition.mount_ids)
        files = sorted((file.filename, file.sha256_hex) for mount in mounts for file in mount)
        folder = self.world.root / "layouts" / hashlib.sha256(repr(files).encode()).hexdigest()
        if not folder.exists():
            (folder / "root").mkdir(parents=True)
            for name, digest in files:
                place = folder / name.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.world.place("files", digest), place)
        return folder

    def _add_volumes(self, container: Container) -> None:
        for each in container.function.definition.volume_mounts:
            mounted = Mounted(self.world.volumes[each.volume_id], container.folder / "volumes" / each.volume_id)
            fill(mounted)
            container.mounted[each.volume_id] = mounted

    def _arguments(self, container: Container) -> pb.ContainerArguments:
        function = container.function
        return pb.ContainerArguments(
            task_id=container.id,
            function_id=function.id,
            app_id=function.app.id,
            function_def=function.definition,
            environment_name="main",
            app_layout=self._layout(function.app),
        )

    def _environment(self, container: Container, socket: Path) -> dict[str, str]:
        """The image's variables, the secrets, and the service's own.

        Nothing is really mounted, since that takes rights that tests do not have. A variable of the image that holds
        a mount path holds the place of the private copy instead.
        """
        definition = container.function.definition
        own = {name: os.environ[name] for name in _KEPT if name in os.environ}
        places = {each.mount_path: str(container.mounted[each.volume_id].folder) for each in definition.volume_mounts}
        own |= {name: places.get(value, value) for name, value in self._image_variables(definition.image_id)}
        for secret in definition.secret_ids:
            own |= self.world.secrets[secret][1]
        return own | {
            "HOME": str(container.folder / "root"),
            "PYTHONPATH": str(container.folder / "root"),
            "PYTHONUNBUFFERED": "1",
            "MODAL_SERVER_URL": f"unix://{socket}",
            "MODAL_TASK_ID": container.id,
            "MODAL_IMAGE_ID": definition.image_id,
            "MODAL_IS_REMOTE": "1",
            "MODAL_CONTAINER_ARGUMENTS_PATH": str(container.folder / "arguments"),
            "MODAL_ENVIRONMENT": "main",
        }

    def _image_variables(self, image: str) -> Iterator[tuple[str, str]]:
        found = self.world.images.get(image)
        if found is None:
            return
        for base in found.base_images:
            yield from self._image_variables(base.image_id)
        for step in found.dockerfile_commands:
            if step.startswith("ENV "):
                name, _, value = step[4:].partition("=")
                yield name.strip(), value.strip().strip("'\"")

    async def _pump(self, container: Container) -> None:
        """Pass on what a container prints, until its process has ended."""
        process, offsets = container.process, {"out": 0, "err": 0}
        kinds = {"out": pb.FILE_DESCRIPTOR_STDOUT, "err": pb.FILE_DESCRIPTOR_STDERR}
        running = True
        while running:
            container.family.update(descendants(process.pid) if process is not None else ())
            running = process is not None and process.poll() is None
            for name, kind in kinds.items():
                offsets[name] += await self._pass_on(container, container.folder / name, offsets[name], kind, running)
            await asyncio.sleep(0.05 if running else 0)

    async def _pass_on(self, container: Container, file: Path, offset: int, kind: int, running: bool) -> int:
        """Whole lines from an offset on, at the end also half a one; how many bytes they were."""
        data = file.read_bytes()[offset:] if file.exists() else b""
        size = data.rfind(b"\n") + 1 if running else len(data)
        function = container.function
        for line in data[:size].decode(errors="replace").splitlines(keepends=True):
            function.app.logs.append(LogLine(line, kind, container.input.call.id, container.id, function.id))
        if size:
            async with function.app.changed:
                function.app.changed.notify_all()
        return size


def kill(container: Container, number: signal.Signals) -> None:
    """Signal a container: its own process, and with SIGKILL everything in it."""
    if container.process is None:
        return
    pids = [container.process.pid]
    if number == signal.SIGKILL:
        pids += descendants(container.process.pid)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """Every process that a process started, and those that they started."""
    found, left = [], [pid]
    while left:
        left = [child for parent in left for child in _children(parent)]
        found += left
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found
