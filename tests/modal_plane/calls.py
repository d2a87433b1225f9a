"""Calls: made and watched by clients, worked on by containers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpclib
from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb

from tests.modal_plane.apps import within
from tests.modal_plane.scheduler import Scheduler
from tests.modal_plane.wire import rpc
from tests.modal_plane.world import Call, Container, Input, World, found, refuse

_STATES = {
    pb.GenericResult.GENERIC_STATUS_SUCCESS: "succeeded_inputs",
    pb.GenericResult.GENERIC_STATUS_TERMINATED: "cancelled_inputs",
    pb.GenericResult.GENERIC_STATUS_TIMEOUT: "timeout_inputs",
}
_HEARTBEAT = 10.0


class Calls:
    """The client's side of a call."""

    def __init__(self, world: World, scheduler: Scheduler) -> None:
        self.world, self.scheduler = world, scheduler

    @rpc("FunctionMap")
    async def begin(self, request: Any, container: Container | None) -> pb.FunctionMapResponse:
        function = found(self.world.functions, request.function_id, "Function")
        if function.app.is_over:
            refuse(grpclib.Status.FAILED_PRECONDITION, "App is stopped")
        gpu, faults = function.definition.resources.gpu_config.gpu_type, self.world.faults
        if (faults.refuse_spawns and gpu) or faults.refuse_calls_to == function.name:
            refuse(grpclib.Status.RESOURCE_EXHAUSTED, "workspace has reached its spend limit")
        call = Call(self.world.new_id("fc"), function, request.function_call_invocation_type)
        self.world.calls[call.id] = call
        items = [self._add(call, each) for each in request.pipelined_inputs]
        if faults.mute_spawns and gpu:
            await asyncio.sleep(3600)
        return pb.FunctionMapResponse(
            function_call_id=call.id, function_call_jwt="jwt", pipelined_inputs=items, max_inputs_outstanding=1000
        )

    @rpc("FunctionPutInputs")
    def put(self, request: Any, container: Container | None) -> pb.FunctionPutInputsResponse:
        call = found(self.world.calls, request.function_call_id, "Function call")
        return pb.FunctionPutInputsResponse(inputs=[self._add(call, each) for each in request.inputs])

    def _add(self, call: Call, each: Any) -> pb.FunctionPutInputsResponseItem:
        item = Input(self.world.new_id("in"), each.idx, call, each.input)
        call.inputs.append(item)
        self.scheduler.begin(item)
        return pb.FunctionPutInputsResponseItem(idx=each.idx, input_id=item.id, input_jwt=item.id)

    @rpc("FunctionGetOutputs")
    async def outputs(self, request: Any, container: Container | None) -> pb.FunctionGetOutputsResponse:
        call = found(self.world.calls, request.function_call_id, "Function call")
        seen, until = int(request.last_entry_id.split("-")[0] or 0), time.time() + request.timeout
        async with call.changed:
            while len(call.outputs) <= seen and time.time() < until:
                await within(call.changed, until)
        return pb.FunctionGetOutputsResponse(
            outputs=call.outputs[seen:],
            last_entry_id=f"{len(call.outputs)}-0",
            num_unfinished_inputs=len(call.inputs) - len(call.outputs),
        )

    @rpc("FunctionCallFromId")
    def from_id(self, request: Any, container: Container | None) -> pb.FunctionCallFromIdResponse:
        call = found(self.world.calls, request.function_call_id, "Function call")
        metadata = pb.FunctionCallHandleMetadata(app_id=call.function.app.id, function_id=call.function.id)
        return pb.FunctionCallFromIdResponse(function_call_id=call.id, num_inputs=len(call.inputs), metadata=metadata)

    @rpc("FunctionCallGetInfo")
    def info(self, request: Any, container: Container | None) -> pb.FunctionCallGetInfoResponse:
        call = found(self.world.calls, request.function_call_id, "Function call")
        info = pb.FunctionCallInfo(function_call_id=call.id, total_inputs=len(call.inputs), created_at=call.created)
        for output in call.outputs:
            getattr(info, _STATES.get(output.result.status, "failed_inputs")).total += 1
        return pb.FunctionCallGetInfoResponse(info=info)

    @rpc("FunctionCallCancel")
    async def cancel(self, request: Any, container: Container | None) -> Empty:
        call = found(self.world.calls, request.function_call_id, "Function call")
        await self.scheduler.cancel(call, terminate=request.terminate_containers)
        return Empty()


class Inside:
    """The container's side of a call."""

    def __init__(self, world: World) -> None:
        self.world = world

    @rpc("FunctionGetInputs")
    def take(self, request: Any, container: Container | None) -> pb.FunctionGetInputsResponse:
        assert container is not None
        if container.taken.is_set() or container.input.call.cancelled:
            return pb.FunctionGetInputsResponse(inputs=[pb.FunctionGetInputsItem(kill_switch=True)])
        container.began = time.time()
        container.taken.set()
        item = container.input
        return pb.FunctionGetInputsResponse(
            inputs=[
                pb.FunctionGetInputsItem(
                    input_id=item.id,
                    input=item.value,
                    function_call_id=item.call.id,
                    function_call_invocation_type=item.call.kind,  # type: ignore[arg-type]
                    retry_count=item.retries,
                )
            ]
        )

    @rpc("FunctionPutOutputs")
    def put(self, request: Any, container: Container | None) -> Empty:
        assert container is not None
        container.output = request.outputs[0]
        return Empty()

    @rpc("TaskResult")
    def failed(self, request: Any, container: Container | None) -> Empty:
        """It broke before it took its input."""
        assert container is not None
        container.output = pb.FunctionPutOutputsItem(result=request.result)
        return Empty()

    @rpc("ContainerHeartbeat")
    async def heartbeat(self, request: Any, container: Container | None) -> pb.ContainerHeartbeatResponse:
        """Answered late, so that a cancellation arrives at once."""
        assert container is not None
        if not container.told:
            try:
                await asyncio.wait_for(container.cancelled.wait(), _HEARTBEAT)
            except TimeoutError:
                return pb.ContainerHeartbeatResponse()
            container.told = True
            event = pb.CancelInputEvent(input_ids=[container.input.id])
            return pb.ContainerHeartbeatResponse(cancel_input_event=event)
        await asyncio.sleep(_HEARTBEAT)
        return pb.ContainerHeartbeatResponse()
