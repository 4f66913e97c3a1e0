"""A TCP proxy of ours between devices and server: it swallows, falls silent and cuts."""

from __future__ import annotations

import asyncio
import contextlib


class Proxy:
    """swallows_answers: what the server says is taken and thrown away. is_silent: nothing
    passes in either direction, and nobody is told (a half-open connection). device_bytes_max: a
    connection is cut when its device has said so much; 0: never. cuts: how many were."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.swallows_answers = False
        self.is_silent = False
        self.device_bytes_max = 0
        self.cuts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every connection at once, both ways."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _connected(
        self, from_device: asyncio.StreamReader, to_device: asyncio.StreamWriter
    ) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            to_device.transport.abort()
            return
        self._writers |= {to_device, to_server}
        up = asyncio.ensure_future(self._pass_on(from_device, to_server, is_answer=False))
        down = asyncio.ensure_future(self._pass_on(from_server, to_device, is_answer=True))
        self._tasks |= {up, down}
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for writer in (to_device, to_server):
            writer.transport.abort()
            self._writers.discard(writer)
        self._tasks -= {up, down}

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self.is_silent or (is_answer and self.swallows_answers):
                    continue
                passed += len(data)
                if self.device_bytes_max and not is_answer and passed > self.device_bytes_max:
                    self.cuts += 1
                    return
                writer.write(data)
                await writer.drain()
