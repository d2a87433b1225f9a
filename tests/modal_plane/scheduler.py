"""Which container runs what: attempts, retries, preemption, cancellation, the end of apps."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from typing import Any

from modal_proto import api_pb2 as pb

from tests.modal_plane.containers import Launcher, kill
from tests.modal_plane.world import App, Call, Container, Input, World

Result = pb.GenericResult
_MOST_CONTAINERS = 3


class Scheduler:
    """Runs the inputs of calls, each attempt in a container of its own.

    As Modal documents it: a failure and a timeout use up a retry; a preempted or lost container starts the same input
    again without one.
    """

    def __init__(self, world: World, launcher: Launcher) -> None:
        self.world, self.launcher = world, launcher
        self._slots = asyncio.Semaphore(_MOST_CONTAINERS)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, item: Input) -> None:
        """Run an input; it is known when this returns."""
        self._keep(self._drive(item))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def rest(self) -> None:
        """Wait until everything that was begun has ended."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def has_work(self, app: App) -> bool:
        """Whether a call of the app is unfinished."""
        return any(call.function.app is app and not call.is_over for call in self.world.calls.values())

    async def cancel(self, call: Call, *, terminate: bool) -> None:
        """End a call: its containers are told, or also killed."""
        call.cancelled = True
        containers = [container for container in self.world.running if container.input.call is call]
        for container in containers:
            container.cancelled.set()
            if terminate:
                self.end(container, signal.SIGTERM)
        busy = {container.input.id for container in containers}
        for item in call.inputs:
            if item.id not in busy:
                await self.settle(item, output_of(Result.GENERIC_STATUS_TERMINATED))

    async def stop(self, app: App) -> None:
        """Stop an app with everything in it."""
        for call in self.world.calls.values():
            if call.function.app is app and not call.is_over:
                await self.cancel(call, terminate=True)
        app.state, app.stopped = pb.APP_STATE_STOPPED, time.time()
        async with app.changed:
            app.changed.notify_all()

    def end(self, container: Container, *signals: signal.Signals) -> None:
        """Send signals, each after a grace period, and at last the one that nobody survives."""
        self._keep(self._end(container, *signals))

    async def _end(self, container: Container, *signals: signal.Signals) -> None:
        for number in (*signals, signal.SIGKILL):
            if container not in self.world.running:
                return
            kill(container, number)
            until = time.monotonic() + self.world.grace
            while container in self.world.running and time.monotonic() < until:
                await asyncio.sleep(0.02)

    async def settle(self, item: Input, output: pb.FunctionPutOutputsItem) -> None:
        """Give an input its output; whoever waits for the call hears of it."""
        call = item.call
        if any(known.input_id == item.id for known in call.outputs):
            return
        call.outputs.append(
            pb.FunctionGetOutputsItem(
                result=output.result, data_format=output.data_format, input_id=item.id, idx=item.index
            )
        )
        async with call.changed:
            call.changed.notify_all()
        app = call.function.app
        if app.state == pb.APP_STATE_DETACHED_DISCONNECTED and not self.has_work(app):
            await self.stop(app)

    async def _drive(self, item: Input) -> None:
        call = item.call
        while not call.cancelled:
            async with self._slots:
                gpu = call.function.definition.resources.gpu_config.gpu_type
                while self.world.faults.hold and gpu and not call.cancelled:
                    await asyncio.sleep(0.02)
                if call.cancelled:
                    break
                container = await self._attempt(item)
            if container.fate in ("preempted", "lost"):
                item.attempts.append(container.fate)
                continue
            output = outcome(container)
            item.attempts.append(
                Result.GenericStatus.Name(output.result.status).removeprefix("GENERIC_STATUS_").lower()
            )
            over = output.result.status == Result.GENERIC_STATUS_SUCCESS or call.cancelled
            if over or item.retries >= call.function.definition.retry_policy.retries:
                await self.settle(item, output)
                return
            item.retries += 1
        await self.settle(item, output_of(Result.GENERIC_STATUS_TERMINATED))

    async def _attempt(self, item: Input) -> Container:
        """Run a container until its output or its end is there; it leaves in its own time."""
        container = await self.launcher.start(item)
        self.world.running.add(container)
        definition = container.function.definition
        await self._ended(container, within=definition.startup_timeout_secs or definition.timeout_secs, taken=True)
        if container.taken.is_set():
            await self._ended(container, within=definition.timeout_secs - (time.time() - container.began))
        if running(container) and container.output is None:
            container.fate = "timed out"
            self.end(container, signal.SIGUSR1, signal.SIGINT)
            await self._ended(container, within=60.0)
        self._keep(self._leave(container))
        return container

    async def _leave(self, container: Container) -> None:
        while running(container):
            await asyncio.sleep(0.02)
        self.world.running.discard(container)
        await self.launcher.finish(container)

    async def _ended(self, container: Container, *, within: float, taken: bool = False) -> None:
        """Wait for its end or its output, or, where asked, until it has taken its input."""
        until = time.monotonic() + within
        while running(container) and time.monotonic() < until and container.output is None:
            if taken and container.taken.is_set():
                return
            await asyncio.sleep(0.02)


def running(container: Container) -> bool:
    """Whether its process lives."""
    return container.process is not None and container.process.poll() is None


def outcome(container: Container) -> pb.FunctionPutOutputsItem:
    """What a container left: its output, or the service's own word on how it ended."""
    if container.fate == "timed out":
        seconds = container.function.definition.timeout_secs
        output = output_of(Result.GENERIC_STATUS_TIMEOUT, f"Input timed out after {seconds}s")
    elif container.output is not None:
        output = container.output
    else:
        code = container.process.poll() if container.process else None
        output = output_of(Result.GENERIC_STATUS_FAILURE, f"Container exited with code {code}")
    if container.input.call.cancelled:
        output.result.status = Result.GENERIC_STATUS_TERMINATED
    return output


def output_of(status: int, words: str = "") -> pb.FunctionPutOutputsItem:
    """An output that no function wrote."""
    return pb.FunctionPutOutputsItem(result=Result(status=status, exception=words))  # type: ignore[arg-type]
