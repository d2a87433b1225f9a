"""gRPC: how the SDK's requests reach the services."""

from __future__ import annotations

import asyncio
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import grpclib.const
import grpclib.server
from google.protobuf.message_factory import GetMessageClass
from modal_proto import api_pb2 as pb

from tests.modal_plane.world import Container, World, refuse

Method = Callable[[Any, Container | None], Any]
"""Answers a request, of a client or of a container: a message, an awaitable of one, or an asynchronous generator."""
F = TypeVar("F", bound=Callable[..., Any])
_SERVICE = pb.DESCRIPTOR.services_by_name["ModalClient"]


def rpc(*names: str) -> Callable[[F], F]:
    """Mark a service's method as the answer to these requests."""

    def mark(method: F) -> F:
        method.__dict__["rpcs"] = names
        return method

    return mark


class Router:
    """Every request of the service, those without a method too, which are refused.

    Args:
        world: counts requests, and knows who may make them.
        services: objects with marked methods.
    """

    def __init__(self, world: World, services: Iterable[object]) -> None:
        self.world = world
        self.methods: dict[str, Method] = {
            name: method
            for service in services
            for _, method in inspect.getmembers(service, inspect.ismethod)
            for name in getattr(method, "rpcs", ())
        }

    def serve(self, container: Container | None = None) -> grpclib.server.Server:
        """A server for clients, or for one container."""
        router = self

        class Served:
            def __mapping__(self) -> dict[str, grpclib.const.Handler]:
                return {
                    f"/{_SERVICE.full_name}/{each.name}": router.handler(each, container) for each in _SERVICE.methods
                }

        return grpclib.server.Server([Served()])

    def handler(self, each: Any, container: Container | None) -> grpclib.const.Handler:
        """How one kind of request is answered."""
        streams = each.server_streaming
        kind = grpclib.const.Cardinality.UNARY_STREAM if streams else grpclib.const.Cardinality.UNARY_UNARY

        async def answer(stream: Any) -> None:
            request = await stream.recv_message()
            self.world.counts[each.name] += 1
            method = self._method(each.name, stream.metadata, container)
            try:
                if streams:
                    async for message in method(request, container):
                        await stream.send_message(message)
                else:
                    message = method(request, container)
                    await stream.send_message(await message if inspect.isawaitable(message) else message)
            except (grpclib.GRPCError, asyncio.CancelledError, grpclib.exceptions.StreamTerminatedError):
                raise
            except BaseException:
                traceback.print_exc(file=sys.stderr)  # a fault of the plane would look like a server that hangs
                raise

        return grpclib.const.Handler(answer, kind, GetMessageClass(each.input_type), GetMessageClass(each.output_type))

    def _method(self, name: str, metadata: Mapping[str, Any], container: Container | None) -> Method:
        token = (metadata.get("x-modal-token-id"), metadata.get("x-modal-token-secret"))
        if container is None and token not in self.world.tokens:
            refuse(grpclib.Status.UNAUTHENTICATED, "Token ID is malformed or not recognised")
        if name not in self.methods:
            refuse(grpclib.Status.UNIMPLEMENTED, f"{name} is not part of the plane")
        return self.methods[name]
