"""Hundreds of devices in one process: the session of a real device on a socket, and no store.

When to connect, greet, ask and come back is decided by `syncapp/core/session.py`, as in every
device; what comes is counted and thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
import uuid
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from syncapp.core import messages
from syncapp.core.session import (
    Asked,
    Closed,
    Connect,
    Disconnect,
    Event,
    Facts,
    Failed,
    HeadHeard,
    Heard,
    Left,
    Opened,
    SendHello,
    SendPing,
    SendPull,
    Session,
    Stored,
    SyncRequested,
    Timer,
    Welcomed,
    step,
    wake_at,
)

# Their clock runs that much faster than the machine's: what a session waits for is over sooner.
PACE = 2


def now_ms() -> int:
    """By the devices' clock."""
    return time.monotonic_ns() * PACE // 1_000_000


@dataclass
class LightDevice:
    """One device that reads along.

    tried_ms, welcomed_ms: when it tried, and got through. delays_ms: how long it meant to wait
    after each end of a connection.
    """

    url: str
    tenant_id: uuid.UUID
    token: str
    chance: random.Random
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    node: str = field(default_factory=lambda: secrets.token_hex(8))
    session: Session = field(default_factory=Session)
    cursor: str | None = None
    read_seq: int = 0
    is_walking: bool = True
    tried_ms: list[int] = field(default_factory=list)
    welcomed_ms: list[int] = field(default_factory=list)
    delays_ms: list[int] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    _socket: ClientConnection | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_home(self) -> bool:
        return self.session.phase == "idle" and self.read_seq >= self.session.head

    async def run(self) -> None:
        """Live until cancelled; connects, reads, beats, and comes back by itself."""
        reader: asyncio.Task[None] | None = None
        waiting: list[Event] = [Asked()]
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        try:
            while True:
                for event in waiting:
                    at_ms = now_ms()
                    self.session, actions = step(
                        self.session, event, self._facts(), at_ms, self.chance.random()
                    )
                    if isinstance(event, Closed) and self.session.phase == "offline":
                        self.delays_ms.append((wake_at(self.session) or at_ms) - at_ms)
                    for action in actions:
                        match action:
                            case Connect(generation):
                                reader = asyncio.ensure_future(self._converse(generation))
                            case Disconnect():
                                if reader is not None:
                                    reader.cancel()
                            case SendHello():
                                await self._say(self._hello())
                            case SendPull(ask):
                                await self._say(messages.Pull(cursor=self.cursor, ask=ask))
                            case SendPing():
                                await self._say(messages.Ping(cursor=self.cursor))
                            case _:
                                raise AssertionError(f"a device that only reads: {action}")
                due_ms = wake_at(self.session)
                patience_s = None if due_ms is None else max(0, due_ms - now_ms()) / 1000 / PACE
                try:
                    # Not wait_for: in Python 3.11 it swallows a cancellation that comes with news.
                    async with asyncio.timeout(patience_s):
                        waiting = [await self._inbox.get()]
                except TimeoutError:
                    waiting = [Timer()]
        finally:
            if reader is not None:
                reader.cancel()

    def leave(self) -> None:
        self._inbox.put_nowait(Left())

    # --- the socket

    async def _converse(self, generation: int) -> None:
        self.tried_ms.append(now_ms())
        code = 1006
        try:
            async with connect(
                f"{self.url}/ws/sync/{self.tenant_id}/",
                subprotocols=[messages.PROTOCOL],
                additional_headers={"Authorization": f"Bearer {self.token}"},
                compression=None,
                ping_interval=None,
                open_timeout=20,
                proxy=None,
            ) as socket:
                self._socket = socket
                self._inbox.put_nowait(Opened(generation))
                async for text in socket:
                    self._inbox.put_nowait(self._heard(generation, messages.text_to_down(text)))
                code = socket.close_code or 1006
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
        except (OSError, InvalidHandshake, TimeoutError):
            pass
        self._inbox.put_nowait(Closed(generation, code))

    async def _say(self, frame: messages.UpFrame) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(ConnectionClosed):  # the reader says so
            await self._socket.send(messages.encode(frame))

    def _hello(self) -> messages.Hello:
        return messages.Hello(device=self.id, node=self.node, cursor=self.cursor)

    def _heard(self, generation: int, frame: messages.DownFrame) -> Event:
        match frame:
            case messages.Welcome():
                self.welcomed_ms.append(now_ms())
                assert frame.identity == "kept"
                return Welcomed(generation, frame.head)
            case messages.Changes():
                self.cursor, self.is_walking = frame.cursor, frame.more
                self.read_seq = frame.to
                return Stored(generation, frame.head, frame.more, is_empty=not frame.rows)
            case messages.News() | messages.Pong():
                return HeadHeard(generation, frame.head, isinstance(frame, messages.Pong))
            case messages.SyncRequest():
                return SyncRequested(generation, frame.id)
            case messages.Error():
                self.codes.append(frame.code)
                return Failed(
                    generation, frame.of, frame.code, frame.retryable, frame.retry_after_ms
                )
        return Heard(generation)

    def _facts(self) -> Facts:
        return Facts(read_seq=self.read_seq, is_walking=self.is_walking, may_write=False)
