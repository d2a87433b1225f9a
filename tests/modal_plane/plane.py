"""The plane as tests hold it: started in a thread of theirs, asked and troubled through plain methods."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from tests.modal_plane.apps import Apps, Functions, Logs, layout
from tests.modal_plane.calls import Calls, Inside
from tests.modal_plane.containers import ENTRYPOINT, SKEWED, Launcher, Start, kill
from tests.modal_plane.scheduler import Scheduler
from tests.modal_plane.session import Session, Stores
from tests.modal_plane.transfers import Transfers
from tests.modal_plane.volumes import Volumes
from tests.modal_plane.wire import Router
from tests.modal_plane.world import App, Call, Container, Faults, Process, Volume, World

T = TypeVar("T")
Happening = Literal["preempted", "lost", "timed out"]
TOKEN = ("ak-loopback", "as-loopback")
_PATIENCE = 150.0
_NEVER = 1 << 60


class Plane:
    """A control plane on a free port of the loopback interface.

    Args:
        root: where it keeps everything.
        zygote: starts containers that have everything imported; see `tests.zygote`.
    """

    def __init__(self, root: Path, zygote: Any) -> None:
        self.world = World(root, {TOKEN})
        for kind in ("blobs", "files", "volumes", "containers"):
            (root / kind).mkdir(parents=True, exist_ok=True)
        self._zygote = zygote
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="plane", daemon=True)
        self._thread.start()
        self.url = self._do(self._start())
        self.start_containers()

    async def _start(self) -> str:
        self._launcher = Launcher(self.world, self._serve, layout)
        self._scheduler = scheduler = Scheduler(self.world, self._launcher)
        world = self.world
        self._router = Router(
            world,
            [
                Session(world), Stores(world), Volumes(world), Apps(world, scheduler), Functions(world), Logs(world),
                Calls(world, scheduler), Inside(world),
            ],
        )  # fmt: skip
        self._transfers = Transfers(world)
        await self._transfers.start()
        self._server = self._router.serve()
        await self._server.start("127.0.0.1", 0)
        served: Any = self._server._server  # the library keeps it to itself, and with it the port
        return f"http://127.0.0.1:{served.sockets[0].getsockname()[1]}"

    def _serve(self, container: Container) -> Any:
        return self._router.serve(container)

    def close(self) -> None:
        """Stop everything."""
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._launcher.close()

    async def _stop(self) -> None:
        for app in self.world.apps.values():
            await self._scheduler.stop(app)
        for container in list(self.world.running):
            kill(container, signal.SIGKILL)
        await self._scheduler.rest()
        self._server.close()
        await self._server.wait_closed()
        await self._transfers.stop()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the SDK here, and nowhere else."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": TOKEN[0],
            "MODAL_TOKEN_SECRET": TOKEN[1],
            "MODAL_CONFIG_PATH": "/nonexistent/modal.toml",
            "MODAL_DISABLE_API_PROXY": "1",
        }

    def start_containers(self, begin: Start | None = None) -> None:
        """How containers start from now on: forked, which saves seconds, where nothing else is said."""
        self._launcher.begin = begin or self.forked

    def forked(self, environment: Mapping[str, str], folder: Path) -> Process:
        """A container of which everything is imported already."""
        code = f"import runpy; runpy.run_module({ENTRYPOINT!r}, run_name='__main__', alter_sys=True)"
        if self.world.faults.skews:
            code = SKEWED.format(self.world.faults.skews.pop(0)) + code
        process: Process = self._zygote.code(
            code, cwd=folder / "root", environment=environment, out=folder / "out", err=folder / "err"
        )
        return process

    # ---------------------------------------------------------------- what is there

    def add_volume(self, name: str, version: int = 1) -> Volume:
        """Make a volume; its `folder` is what is committed."""
        return self.world.add_volume(name, version)

    def add_secret(self, name: str, **values: str) -> None:
        """Make a secret."""
        self.world.secrets[self.world.new_id("st")] = (name, values)

    def calls(self, function: str = "train", app: str = "") -> list[Call]:
        """The calls of functions of a name, oldest first."""
        everything = self.world.calls.values()
        return [each for each in everything if each.function.name == function and app in each.function.app.name]

    def apps(self, name: str = "") -> list[App]:
        """The apps whose name has this in it."""
        return [app for app in self.world.apps.values() if name in app.name]

    def containers(self, call: Call) -> list[Container]:
        """The containers that are at work on a call now."""
        return [container for container in self.world.running if container.input.call is call]

    # ---------------------------------------------------------------- what happens to it

    def happen(self, what: Happening, call: Call) -> None:
        """Let something happen to whatever is at work on a call."""
        for container in self.containers(call):
            self._loop.call_soon_threadsafe(self._happen, what, container)

    def _happen(self, what: Happening, container: Container) -> None:
        container.fate = what
        if what == "lost":  # the machine is gone, with everything in it
            kill(container, signal.SIGKILL)
        elif what == "preempted":  # asked to leave; the same input starts again elsewhere
            self._scheduler.end(container, signal.SIGINT)
        else:  # as at its timeout: the input is cancelled, and counts as failed
            self._scheduler.end(container, signal.SIGUSR1, signal.SIGINT)

    def script(self, volume: Volume, run: str, *acts: tuple[int, Happening]) -> None:
        """Let things happen to a run, one after the other, each at once when a step is durable.

        Args:
            volume: where the run lives.
            run: its name.
            acts: the step, and what happens to the container that trained up to there and has just committed it; to
                another one each time.
        """
        left, began = list(acts), dict[str, int]()

        def committed(container: Container) -> None:
            if not left or volume.id not in container.mounted:
                return
            step = self.durable_step(volume, run)
            if step >= left[0][0] and step > began.setdefault(container.id, step):
                began[container.id] = _NEVER
                self._happen(left.pop(0)[1], container)
            if not left:
                self.world.after_commit.remove(committed)

        self.world.after_commit.append(committed)

    def at_step(self, volume: Volume, run: str, step: int, act: Callable[[], object]) -> None:
        """Do something once a step of a run is durable."""

        def committed(container: Container) -> None:
            if volume.id in container.mounted and self.durable_step(volume, run) >= step:
                self.world.after_commit.remove(committed)
                act()

        self.world.after_commit.append(committed)

    def durable_step(self, volume: Volume, run: str) -> int:
        """The newest step from which a run can go on, as it is committed; -1 for none."""
        manifest = volume.folder / "checkpoints" / run / "checkpoints" / "manifest.json"
        entries = json.loads(manifest.read_text())["entries"] if manifest.exists() else []
        return max((entry["step"] for entry in entries if "state" in entry["roles"]), default=-1)

    @contextmanager
    def trouble(self, **faults: Any) -> Iterator[Faults]:
        """Let things go wrong inside; see `Faults`."""
        self.world.faults = Faults(**faults)
        try:
            yield self.world.faults
        finally:
            self.world.faults = Faults()

    def wait(self, condition: Callable[[], T], seconds: float = _PATIENCE) -> T:
        """Look until something is true; what it was."""
        limit = time.monotonic() + seconds
        while not (answer := condition()):
            if time.monotonic() > limit:
                raise TimeoutError(f"{condition} after {seconds} s\n{self.printed()[-4000:]}")
            time.sleep(0.02)
        return answer

    def printed(self, app: str = "") -> str:
        """Everything that containers printed."""
        return "".join(line.text for each in self.apps(app) for line in each.logs)

    def ledger(self, volume: Volume, run: str, folder: str = "/checkpoints") -> list[dict[str, Any]]:
        """The events of a run as they are committed."""
        file = volume.path(f"{folder}/{run}/ledger.jsonl")
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]


@contextmanager
def started(zygote: Any) -> Iterator[Plane]:
    """A plane in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="modal-plane-") as folder:
        plane = Plane(Path(folder), zygote)
        try:
            yield plane
        finally:
            plane.close()
