"""Apps, their functions, and what their containers print."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpclib
from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb

from tests.modal_plane.scheduler import Scheduler
from tests.modal_plane.wire import rpc
from tests.modal_plane.world import App, Container, Function, LogLine, World, found, refuse

GPUS = {
    "", "T4", "L4", "A10", "A10G", "L40S", "A100", "A100-40GB", "A100-80GB", "RTX-PRO-6000", "H100", "H100!", "H200",
    "B200", "B200+",
}  # fmt: skip


class Apps:
    """The life of an app."""

    def __init__(self, world: World, scheduler: Scheduler) -> None:
        self.world, self.scheduler = world, scheduler

    @rpc("AppCreate")
    def create(self, request: Any, container: Container | None) -> pb.AppCreateResponse:
        app = App(self.world.new_id("ap"), request.description, request.app_state, dict(request.tags))
        self.world.apps[app.id] = app
        return pb.AppCreateResponse(app_id=app.id, app_page_url=f"http://loopback/{app.id}")

    @rpc("AppPublish")
    def publish(self, request: Any, container: Container | None) -> pb.AppPublishResponse:
        app = found(self.world.apps, request.app_id, "App")
        app.state = request.app_state
        return pb.AppPublishResponse(url=f"http://loopback/{app.id}", deployed_at=time.time())

    @rpc("AppGetLayout")
    def get_layout(self, request: Any, container: Container | None) -> pb.AppGetLayoutResponse:
        return pb.AppGetLayoutResponse(app_layout=layout(found(self.world.apps, request.app_id, "App")))

    @rpc("AppClientDisconnect")
    async def disconnect(self, request: Any, container: Container | None) -> Empty:
        app = found(self.world.apps, request.app_id, "App")
        kept = app.state == pb.APP_STATE_DETACHED and request.reason != pb.APP_DISCONNECT_REASON_LOCAL_EXCEPTION
        if kept and self.scheduler.has_work(app):
            app.state = pb.APP_STATE_DETACHED_DISCONNECTED
        else:
            await self.scheduler.stop(app)
        return Empty()

    @rpc("AppStop")
    async def stop(self, request: Any, container: Container | None) -> Empty:
        await self.scheduler.stop(found(self.world.apps, request.app_id, "App"))
        return Empty()

    @rpc("AppGetLifecycle")
    def lifecycle(self, request: Any, container: Container | None) -> pb.AppGetLifecycleResponse:
        app = found(self.world.apps, request.app_id, "App")
        state: Any = app.state
        life = pb.AppLifecycle(app_state=state, created_at=app.created, stopped_at=app.stopped)
        return pb.AppGetLifecycleResponse(lifecycle=life)

    @rpc("AppList")
    def list_apps(self, request: Any, container: Container | None) -> pb.AppListResponse:
        items = []
        for app in self.world.apps.values():
            state: Any = app.state
            item = pb.AppListResponse.AppListItem(
                app_id=app.id, description=app.name, state=state, created_at=app.created
            )
            items.append(item)
        return pb.AppListResponse(apps=items)


class Functions:
    """What apps are made of."""

    def __init__(self, world: World) -> None:
        self.world = world

    @rpc("FunctionPrecreate")
    def precreate(self, request: Any, container: Container | None) -> pb.FunctionPrecreateResponse:
        app = found(self.world.apps, request.app_id, "App")
        number = request.existing_function_id or self.world.new_id("fu")
        function = Function(number, request.function_name, request.function_type, app)
        self.world.functions[number] = function
        return pb.FunctionPrecreateResponse(function_id=number, handle_metadata=handle(function))

    @rpc("FunctionCreate")
    def create(self, request: Any, container: Container | None) -> pb.FunctionCreateResponse:
        function = found(self.world.functions, request.existing_function_id, "Function")
        definition = pb.Function()
        definition.CopyFrom(request.function)
        check(definition)
        for name, value in self.world.faults.limits.items():
            setattr(definition, name, value)
        function.definition, function.app.functions[function.name] = definition, function
        function.data = pb.FunctionData(
            function_name=definition.function_name,
            module_name=definition.module_name,
            timeout_secs=definition.timeout_secs,
            startup_timeout_secs=definition.startup_timeout_secs,
            ranked_functions=[pb.FunctionData.RankedFunction(rank=0, function=definition)],
        )
        answer = pb.FunctionCreateResponse(
            function_id=function.id, handle_metadata=handle(function), function=definition
        )
        if "function_data" in answer.DESCRIPTOR.fields_by_name:  # the older SDK's does not have it
            answer.function_data.CopyFrom(function.data)
        return answer

    @rpc("FunctionGetById")
    def get(self, request: Any, container: Container | None) -> Any:
        function = found(self.world.functions, request.function_id, "Function")
        answer = getattr(pb, "FunctionGetByIdResponse")  # noqa: B009 - the older SDK's descriptors do not have it
        return answer(function=function.definition, handle_metadata=handle(function))


class Logs:
    """What containers print, live and later."""

    def __init__(self, world: World) -> None:
        self.world = world

    @rpc("AppGetLogs")
    async def stream(self, request: Any, container: Container | None) -> AsyncIterator[pb.TaskLogsBatch]:
        app, until = found(self.world.apps, request.app_id, "App"), time.time() + request.timeout
        seen = int(request.last_entry_id.split("-")[0]) if request.last_entry_id else 0
        while True:
            for number, line in enumerate(app.logs[seen:], start=seen + 1):
                if wanted(request, line):
                    yield batch(line, number)
            seen = len(app.logs)
            if app.is_over:
                yield pb.TaskLogsBatch(app_done=True)
                return
            if time.time() >= until:
                return
            async with app.changed:
                if len(app.logs) == seen:
                    await within(app.changed, until)

    @rpc("AppFetchLogs")
    def fetch(self, request: Any, container: Container | None) -> pb.AppFetchLogsResponse:
        app = found(self.world.apps, request.app_id, "App")
        since, until = request.since.ToNanoseconds() / 1e9, request.until.ToNanoseconds() / 1e9
        lines = [
            batch(line, number)
            for number, line in enumerate(app.logs, start=1)
            if wanted(request, line) and since <= line.at and (not until or line.at <= until)
        ]
        return pb.AppFetchLogsResponse(batches=lines[-request.limit :] if request.limit else lines)


def check(definition: pb.Function) -> None:
    """Refuse what the service refuses, with its kind of words."""
    gpu = definition.resources.gpu_config.gpu_type
    if gpu not in GPUS:
        refuse(grpclib.Status.INVALID_ARGUMENT, f"Invalid GPU type: {gpu}")
    if not 1 <= definition.timeout_secs <= 86400:
        refuse(grpclib.Status.INVALID_ARGUMENT, f"timeout must be between 1 and 86400, got {definition.timeout_secs}")


def handle(function: Function) -> pb.FunctionHandleMetadata:
    """What a client knows of a function."""
    formats = [pb.DATA_FORMAT_PICKLE, pb.DATA_FORMAT_CBOR]
    return pb.FunctionHandleMetadata(
        function_name=function.name,
        function_type=function.kind,  # type: ignore[arg-type]
        definition_id=function.id.replace("fu-", "de-"),
        app_id=function.app.id,
        supported_input_formats=formats,
        supported_output_formats=formats,
    )


def layout(app: App) -> pb.AppLayout:
    """What a container knows of its app."""
    answer = pb.AppLayout(function_ids={name: function.id for name, function in app.functions.items()})
    for function in app.functions.values():
        answer.objects.append(pb.Object(object_id=function.id, function_handle_metadata=handle(function)))
    return answer


def wanted(request: Any, line: LogLine) -> bool:
    """Whether the request asks for this line."""
    call = not request.function_call_id or request.function_call_id == line.call
    return call and (not request.function_id or request.function_id == line.function)


def batch(line: LogLine, number: int) -> pb.TaskLogsBatch:
    """A line as the service sends it."""
    item = pb.TaskLogs(
        data=line.text,
        timestamp=line.at,
        timestamp_ns=int(line.at * 1e9),
        file_descriptor=line.descriptor,  # type: ignore[arg-type]
        function_call_id=line.call,
        container_id=line.container,
    )
    return pb.TaskLogsBatch(entry_id=f"{number}-0", task_id=line.container, function_id=line.function, items=[item])


async def within(condition: asyncio.Condition, until: float) -> None:
    """Wait for news, at most until then; the condition is held."""
    try:
        await asyncio.wait_for(condition.wait(), max(0.01, until - time.time()))
    except TimeoutError:
        return
