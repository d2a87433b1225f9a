"""HTTP: where the SDK puts and gets bytes that are too large for a message."""

from __future__ import annotations

import base64
import hashlib

from aiohttp import web

from tests.modal_plane.world import World

BLOCK = 8 * 1024 * 1024
"""Bytes of a block of a volume's file, as the SDK cuts them."""


class Transfers:
    """A server for blobs and blocks."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def start(self) -> None:
        """Serve on a free port of the loopback interface."""
        app = web.Application(client_max_size=1 << 40)
        app.router.add_put("/blob/{key}", self._put)
        app.router.add_get("/blob/{key}", self._get)
        app.router.add_get("/read/{key}/{block}", self._read)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.world.http = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """End it."""
        await self._runner.cleanup()

    async def _put(self, request: web.Request) -> web.Response:
        data, key = await request.read(), request.match_info["key"]
        self.world.place("blobs", key).write_bytes(data)
        return web.Response(text=key, headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})

    async def _get(self, request: web.Request) -> web.Response:
        return web.Response(body=self.world.place("blobs", request.match_info["key"]).read_bytes())

    async def _read(self, request: web.Request) -> web.Response:
        begin = int(request.match_info["block"]) * BLOCK
        data = self.world.downloads[request.match_info["key"]][begin : begin + BLOCK]
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        return web.Response(body=data, headers={"Repr-Digest": f"sha-256=:{digest}:"})
