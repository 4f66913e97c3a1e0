"""The harness's server behind real sockets, for the asyncio client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from syncapp.core.messages import PROTOCOL

from .harness import HOME, Link, Server, Time

TOKEN = "fw_test_token"


class RealTime(Time):
    """Real devices measure the server's clock, so it must not stand still."""

    def __init__(self) -> None:
        self.off_ms = 0  # the server's clock minus that of the devices

    @property
    def ms(self) -> int:  # type: ignore[override]
        return time.time_ns() // 1_000_000 + self.off_ms


class LiveServer:
    """Serves the households of a `Server`; can be taken down and brought up again."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = 0
        self.connections: dict[Link, ServerConnection] = {}
        self.headers: list[Any] = []
        self.tokens = {TOKEN}
        self._serving: Any = None
        self._left = asyncio.Event()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def up(self) -> None:
        self._serving = await serve(
            self._talk, "127.0.0.1", self.port, subprotocols=[PROTOCOL], ping_interval=None
        )
        self.port = self._serving.sockets[0].getsockname()[1]

    async def down(self, code: int = 1012) -> None:
        self._serving.close(close_connections=False)
        for connection in list(self.connections.values()):
            await connection.close(code)
        self._serving.close()
        await self._serving.wait_closed()

    async def _talk(self, connection: ServerConnection) -> None:
        request = connection.request
        self.headers.append(request.headers)
        household = request.path.split("/")[3]
        link = Link(self.server, "aaaaaaaa-0000-4000-8000-000000000001", household, None, 0)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            await connection.close(4401, "Sign in to sync.")
            return
        self.server.links.add(link)
        self.connections[link] = connection
        try:
            async for text in connection:
                self.server.take(link, text)
                self.server.deliver()
                await self.flush()
        except ConnectionClosed:
            pass
        finally:
            self.server.links.discard(link)
            self.connections.pop(link, None)
            self._left.set()

    async def is_alone(self) -> None:
        """Wait until nobody is connected."""
        while self.connections:
            self._left.clear()
            await self._left.wait()

    async def flush(self) -> None:
        for link, connection in list(self.connections.items()):
            while link.down:
                what = link.down.popleft()
                try:
                    if isinstance(what, int):
                        await connection.close(what)
                    else:
                        await connection.send(what)
                except ConnectionClosed:
                    break

    async def deliver(self) -> None:
        """After a write that came from nobody's socket."""
        self.server.deliver()
        await self.flush()


@asynccontextmanager
async def live(server: Server) -> AsyncIterator[LiveServer]:
    serving = LiveServer(server)
    await serving.up()
    try:
        async with asyncio.timeout(30):
            yield serving
    finally:
        await serving.down()


__all__ = ["HOME", "TOKEN", "LiveServer", "RealTime", "live"]
