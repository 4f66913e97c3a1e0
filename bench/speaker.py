"""A lean device: it speaks the protocol, counts what it hears, and keeps nothing.

So that what is measured is the server. It gives credit as a device does, one pull for each
frame with rows, and looks at rows only where a measure asks it to.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect

from syncapp.core import messages
from syncapp.core.clock import Clock
from syncapp.core.messages import Change, Hello, Household, Ping, Pull, Push

# Room for the frame around the changes.
_PUSH_MAX_BYTES = messages.BATCH_MAX_BYTES - 200


class Heard(Struct, tag_field="type"):
    """A frame from the server; what a speaker does not need is skipped."""


class Welcome(Heard, tag="welcome"):
    head: int


class Changes(Heard, tag="changes"):
    """`rows` stay encoded: taking them apart would measure us, not the server."""

    cursor: str
    to: int
    more: bool
    rows: list[msgspec.Raw]

    def row_ids(self) -> list[str]:
        return [_decode_id(row).id for row in self.rows]


class _Identified(Struct):
    id: str


_decode_id = msgspec.json.Decoder(_Identified).decode


class Fate(Struct):
    number: int
    fate: str


class Ack(Heard, tag="ack"):
    results: list[Fate] = []


class Error(Heard, tag="error"):
    code: str
    message: str


class News(Heard, tag="news"):
    head: int


class Provisioning(Heard, tag="provisioning"):
    step: int


class Pong(Heard, tag="pong"):
    head: int


class SyncRequest(Heard, tag="sync_request"):
    id: str


Frame = Welcome | Changes | Ack | Error | News | Provisioning | Pong | SyncRequest
_decode = msgspec.json.Decoder(Frame).decode


class Speaker:
    """One connected device. Raises RuntimeError for anything but success."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.device_id = str(uuid.uuid4())
        self.clock = Clock(secrets.token_hex(8))
        self.cursor: str | None = None
        self.number = 0  # the last one given
        self.acknowledged = 0
        self.bytes_received = 0
        self.rows_received = 0

    @classmethod
    async def connect(cls, address: str, household: uuid.UUID, token: str) -> Speaker:
        """Open a socket to `address` (host:port); says nothing yet."""
        return cls(await _open(address, household, token))

    async def connect_again(self, address: str, household: uuid.UUID, token: str) -> None:
        """The same device, on another socket."""
        self._socket = await _open(address, household, token)

    async def close(self) -> None:
        await self._socket.close()

    def vanish(self) -> None:
        """The connection is gone, and nobody has said goodbye."""
        self._socket.transport.abort()

    # --- frames

    async def send(self, frame: Any) -> None:
        await self.send_text(messages.encode(frame))

    async def send_text(self, text: str) -> None:
        await self._socket.send(text)

    async def receive(self) -> Frame:
        """The next frame; one with rows has been answered with credit."""
        text = await self._socket.recv(decode=False)
        self.bytes_received += len(text)
        frame = _decode(text)
        if isinstance(frame, Error):
            raise RuntimeError(f"The server answered {frame.code}: {frame.message}")
        if isinstance(frame, Changes):
            self.cursor = frame.cursor
            self.rows_received += len(frame.rows)
            if frame.rows:
                await self.send(Pull(cursor=frame.cursor))
        return frame

    async def hello(self, new_household: str | None = None) -> int:
        """Say hello and wait for the welcome; returns the head."""
        await self.send(
            Hello(
                device=self.device_id,
                node=self.clock.node,
                name="bench",
                cursor=self.cursor,
                acknowledged=self.acknowledged,
                clock_ms=now_ms(),
                household=Household(name=new_household) if new_household else None,
            )
        )
        while not isinstance(frame := await self.receive(), Welcome):
            pass
        return frame.head

    async def pull(self, enough: int | None = None) -> None:
        """Ask for everything, and return when it has been received, or so many rows."""
        await self.send(Pull(cursor=self.cursor, ask=True))
        while not isinstance(frame := await self.receive(), Changes) or frame.more:
            if enough is not None and self.rows_received >= enough:
                return

    async def pull_into(self, rows: dict[str, msgspec.Raw]) -> None:
        """As `pull`, and keep the newest of each row, by its id."""
        await self.send(Pull(cursor=self.cursor, ask=True))
        while True:
            frame = await self.receive()
            if isinstance(frame, Changes):
                rows.update(zip(frame.row_ids(), frame.rows, strict=True))
                if not frame.more:
                    return

    async def ping(self) -> None:
        """The heartbeat; its answer comes among the frames."""
        await self.send(Ping(cursor=self.cursor, clock_ms=now_ms()))

    # --- changes

    def change(
        self,
        kind: str,
        row_id: str,
        fields: dict[str, Any],
        seen: str = "",
        entity: str = "account",
    ) -> Change:
        """The next change of a row. `seen`: the stamp that its fields had."""
        self.number += 1
        return Change(
            number=self.number,
            entity=entity,
            id=row_id,
            kind=kind,  # type: ignore[arg-type]
            stamp=self.clock.tick(now_ms()),
            fields=fields,
            seen=dict.fromkeys([*fields, "exists"], seen) if seen else {},
        )

    async def flush(self, pushes: Iterable[str]) -> int:
        """Send pushes one after the other, each when the one before is acknowledged.

        Returns how many changes were acknowledged. Raises RuntimeError if one was not applied.
        """
        count = 0
        for push in pushes:
            await self.send_text(push)
            count += await self.acknowledgement()
        return count

    async def acknowledgement(self) -> int:
        """Wait for the answer to a push; returns how many changes it settles."""
        while not isinstance(frame := await self.receive(), Ack):
            pass
        return self.settle(frame)

    def settle(self, ack: Ack) -> int:
        for result in ack.results:
            if result.fate != "applied":
                raise RuntimeError(f"Change {result.number} was {result.fate}.")
        self.acknowledged = ack.results[-1].number
        return len(ack.results)


async def _open(address: str, household: uuid.UUID, token: str) -> ClientConnection:
    return await connect(
        f"ws://{address}/ws/sync/{household}/",
        subprotocols=[messages.PROTOCOL],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        ping_interval=None,
        max_size=None,
        proxy=None,
    )


def pushes_of(changes: list[Change], acknowledged: int = 0) -> Iterator[str]:
    """Encode changes as pushes of at most the protocol's rows and bytes."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        bytes_more = len(messages.encode(change)) + 1
        if batch and (len(batch) == messages.BATCH_MAX_ROWS or size + bytes_more > _PUSH_MAX_BYTES):
            yield messages.encode(Push(changes=batch, acknowledged=acknowledged))
            acknowledged = batch[-1].number
            batch, size = [], 0
        batch.append(change)
        size += bytes_more
    if batch:
        yield messages.encode(Push(changes=batch, acknowledged=acknowledged))


def now_ms() -> int:
    return time.time_ns() // 1_000_000
