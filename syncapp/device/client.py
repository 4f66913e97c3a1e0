"""The reference device with a real socket: asyncio and `websockets`.

    async with DeviceClient("ws://127.0.0.1:8000", token, "phone.sqlite") as client:
        client.create("account_group", {"name": "Girokonten"})
        report = await client.sync()

It connects, pulls, pushes, beats and reconnects by itself for as long as it is open; what is
typed while there is no connection waits in the store. All methods belong to the thread of
the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from syncapp.core.entity import Entity
from syncapp.core.errors import SyncError
from syncapp.core.messages import FRAME_MAX_BYTES, PROTOCOL
from syncapp.core.session import CONNECT_TIMEOUT_MS, CONVERSING, Connect, Disconnect

from .address import parse_address
from .conversation import Conversation, Output
from .errors import DeviceError, StoreError
from .pacer import Pacer
from .replica import Replica
from .store import Key, Store

log = logging.getLogger(__name__)

OTHERS_POLL_S = 1.0  # how soon an edit by another program on the same store is noticed
GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class SyncReport:
    """How a sync came out. sent, received: changes and rows of this sync.

    clock_off_ms: this device's clock minus the server's, as last measured.
    reason: "" or a machine's word why it is not up to date; message: a person's sentence.
    """

    is_up_to_date: bool
    sent: int
    received: int
    pending: int
    parked: int
    refused: int
    conflicts: int
    clock_off_ms: int = 0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What has changed for the eye: rows, and how the sync stands."""

    changed: frozenset[Key]
    phase: str
    is_up_to_date: bool
    pending: int
    refused: int
    reason: str


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class DeviceClient:
    """One device and its connection.

    url: see `address.parse_address`. store: a path, or an open Store that its owner closes.
    household, household_name, entities, name: see `ground.Ground`. compress: ask for
    permessage-deflate; worth it over a phone's network, not over a cable.
    """

    def __init__(
        self,
        url: str,
        token: str,
        store: Store | str | Path,
        *,
        household: str | None = None,
        household_name: str | None = None,
        entities: Mapping[str, Entity] | None = None,
        name: str = "",
        app: str = "finwise-device",
        compress: bool = False,
    ) -> None:
        self._address = parse_address(url)
        self._token = token
        self._owns_store = not isinstance(store, Store)
        self.store = store if isinstance(store, Store) else Store(store)
        self.replica = Replica(
            self.store,
            household or self._address.household,
            household_name=household_name,
            entities=entities,
            name=name,
            app=app,
        )
        self._talk = Conversation(self.replica)
        self._compress = compress
        self._socket: tuple[int, ClientConnection] | None = None  # generation, connection
        self._outbound: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._moved = asyncio.Event()  # set whenever something has happened
        self._happenings = 0
        self._progress_ms = 0
        self._is_confirmed = True  # False: an ack has moved the head since it was heard
        self._others = 0

    async def __aenter__(self) -> DeviceClient:
        self._loop = asyncio.get_running_loop()
        self._others = self.store.writes_of_others
        if self.store.path != ":memory:":
            self._spawn(self._notice_others())
        self._do(self._talk.asked(_now_ms()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._do(self._talk.left(_now_ms()))
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            if task.get_name() != "farewell":
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GOODBYE_S)
        if self._owns_store:
            self.store.close()

    # --- what its user does -----------------------------------------------------------------

    def create(self, entity: str, fields: Mapping[str, Any], row_id: str | None = None) -> str:
        row_id = self.replica.create(entity, fields, row_id)
        self.poke()
        return row_id

    def edit(self, entity: str, row_id: str, fields: Mapping[str, Any]) -> bool:
        is_change = self.replica.edit(entity, row_id, fields)
        self.poke()
        return is_change

    def delete(self, entity: str, row_id: str) -> None:
        self.replica.delete(entity, row_id)
        self.poke()

    def poke(self) -> None:
        """Send what was queued through the replica itself."""
        self._do(self._talk.edited(_now_ms()))

    async def sync(
        self,
        *,
        patience_s: float = 30.0,
        reach_s: float = 5.0,
        progress: Callable[[], None] = lambda: None,
    ) -> SyncReport:
        """Bring everything up to date, or find out why that cannot be.

        reach_s: how long to try when no server answers; patience_s: how long to wait for
        the next sign of progress from one that does. progress: called as things move.
        """
        replica = self.replica
        sent, received = replica.sent, replica.received
        started_ms = self._progress_ms = _now_ms()
        self._do(self._talk.asked(started_ms))
        while self.phase != "stopped":
            progress()
            if self._is_done(started_ms):
                if self._is_confirmed:
                    break
                # Its own push has moved the head: only a later word is evidence.
                self._is_confirmed = True
                self._do(self._talk.asked(_now_ms()))
                continue
            session = self._talk.session
            is_reached = session.phase in CONVERSING or self._progress_ms > started_ms
            patience_ms = (patience_s if is_reached else reach_s) * 1000
            left_ms = self._progress_ms + patience_ms - _now_ms()
            if left_ms <= 0:
                break
            self._moved.clear()
            try:
                async with asyncio.timeout(left_ms / 1000):
                    await self._moved.wait()
            except TimeoutError:
                continue
        return self._report(replica.sent - sent, replica.received - received)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; asked whenever anything has happened here."""
        while not condition():
            self._moved.clear()
            await self._moved.wait()

    async def watch(self) -> AsyncIterator[Look]:
        """What changes, as it changes; begins with how things stand. Ends with the client."""
        last: Look | None = None
        while True:
            seen = self._happenings
            look = self._look()
            if last is None or look.changed or look != last:
                yield look
                last = look
            if self._talk.session.phase == "stopped":
                return
            await self.until(lambda seen=seen: self._happenings != seen)  # type: ignore[misc]

    @property
    def phase(self) -> str:
        return self._talk.session.phase

    @property
    def is_up_to_date(self) -> bool:
        return self._talk.is_up_to_date(_now_ms())

    # --- between session, store and socket -----------------------------------------------------

    def _do(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, str):
                self._outbound.put_nowait(output)
            elif isinstance(output, Connect):
                self._spawn(self._converse(output.generation))
            else:
                self._hang_up(output)
        self._happenings += 1
        self._moved.set()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_ms = self._talk.wake_at()
        if at_ms is not None:
            delay_s = max(at_ms - _now_ms(), 0) / 1000
            # A millisecond more: the clock of the loop and ours are not read at once.
            self._timer = self._loop.call_later(delay_s + 0.001, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._do(self._talk.timer(_now_ms()))

    def _spawn(self, work: Any, name: str | None = None) -> None:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hang_up(self, what: Disconnect) -> None:
        if self._socket is not None and self._socket[0] == what.generation:
            connection, self._socket = self._socket[1], None
            self._spawn(connection.close(what.code), name="farewell")

    async def _converse(self, generation: int) -> None:
        """One connection from its opening to its end."""
        code, reason = 1006, ""
        outbound: asyncio.Queue[str] = asyncio.Queue()
        self._outbound = outbound
        writer: asyncio.Task[None] | None = None
        try:
            async with self._connection() as connection:
                if generation != self._talk.session.generation:
                    return
                self._socket = generation, connection
                writer = asyncio.create_task(_write(connection, outbound))
                self._do(self._talk.opened(generation, _now_ms()))
                async for text in connection:
                    if not self._hear(generation, text):
                        code = 1002
                        break
            code = connection.close_code or code
            reason = connection.close_reason or ""
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            reason = closed.rcvd.reason if closed.rcvd else ""
        except (OSError, InvalidHandshake, TimeoutError) as error:
            reason = _in_words(error, self._address.base)
        except Exception as error:
            # A fault of ours must not leave the device silent for ever.
            log.exception("the conversation failed")
            reason = f"This program failed: {error!r}"
        finally:
            if writer is not None:
                writer.cancel()
            if self._socket is not None and self._socket[0] == generation:
                self._socket = None
        self._do(self._talk.closed(generation, code, reason, _now_ms()))

    def _connection(self) -> connect:
        # A household that moved has another address: it is made anew for each connection.
        url = self._address.socket_url(self.replica.meta.household)
        return connect(
            url,
            subprotocols=[PROTOCOL],  # type: ignore[list-item]
            additional_headers={"Authorization": f"Bearer {self._token}"},
            compression="deflate" if self._compress else None,
            max_size=FRAME_MAX_BYTES,
            open_timeout=CONNECT_TIMEOUT_MS / 1000,
            close_timeout=GOODBYE_S,
            ping_interval=None,  # the session beats; the server's pings are answered anyway
            proxy=None if self._address.is_on_this_machine else True,
        )

    def _hear(self, generation: int, text: str | bytes) -> bool:
        """Take one frame. False: the connection is of no use any more."""
        now_ms = _now_ms()
        sent = self.replica.sent
        try:
            outputs = self._talk.received(generation, text, now_ms)
        except (SyncError, StoreError) as error:
            # Nothing was stored; the frame comes again on the next connection.
            self._talk.last_error = error.message
            return False
        self._progress_ms = now_ms
        if self.replica.sent != sent:
            self._is_confirmed = False
        self._do(outputs)
        return True

    async def _notice_others(self) -> None:
        """An importer or another command may write to the same store."""
        while True:
            await asyncio.sleep(OTHERS_POLL_S)
            writes = self.store.writes_of_others
            if writes != self._others:
                self._others = writes
                self.poke()

    # --- how it stands ---------------------------------------------------------------------------

    def _is_done(self, since_ms: int) -> bool:
        """Idle, and the server has been heard since: there is nothing more to be done now."""
        session = self._talk.session
        return (
            session.phase == "idle"
            and not session.is_asking
            and session.heard_ms is not None
            and session.heard_ms >= since_ms
        )

    def _report(self, sent: int, received: int) -> SyncReport:
        replica, session = self.replica, self._talk.session
        is_green = self.is_up_to_date
        reason = session.reason
        if not is_green and not reason:
            reason = "parked" if replica.parked_count else "pending"
        return SyncReport(
            is_up_to_date=is_green,
            sent=sent,
            received=received,
            pending=replica.pending,
            parked=replica.parked_count,
            refused=replica.refused_count,
            conflicts=sum(each.is_mine for each in replica.conflicts()),
            clock_off_ms=-replica.meta.offset_ms,
            reason="" if is_green else reason,
            message="" if is_green else self._talk.last_error,
        )

    def _look(self) -> Look:
        replica = self.replica
        return Look(
            changed=frozenset(replica.drain_changed()),
            phase=self.phase,
            is_up_to_date=self.is_up_to_date,
            pending=replica.pending,
            refused=replica.refused_count,
            reason=self._talk.session.reason,
        )


async def _write(connection: ClientConnection, outbound: asyncio.Queue[str]) -> None:
    """Send frames in order, no faster than the server takes them."""
    pacer = Pacer(time.monotonic())
    while True:
        text = await outbound.get()
        wait_s = pacer.wait_s(time.monotonic())
        if wait_s:
            await asyncio.sleep(wait_s)
        try:
            await connection.send(text)
        except ConnectionClosed:
            return  # the reader tells


def _in_words(error: Exception, base: str) -> str:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status == 404:
            return f"There is no FinWise sync server at {base}."
        return f"{base} answered {status} instead of opening a connection."
    if isinstance(error, InvalidHandshake):
        return f"{base} does not speak the sync protocol."
    if isinstance(error, TimeoutError):
        return f"{base} did not answer in time."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {base} is not trusted: {error.verify_message}."
    if isinstance(error, ssl.SSLError):  # it has an errno too, and that is not the system's
        return f"{base} does not speak TLS. Is it http:// instead of https://?"
    # asyncio's own words hold the address twice; the system's say why.
    number = getattr(error, "errno", None)
    why = f" ({os.strerror(number)})" if isinstance(number, int) and number > 0 else ""
    return f"{base} cannot be reached{why}."


__all__ = ["DeviceClient", "DeviceError", "Look", "SyncReport"]
