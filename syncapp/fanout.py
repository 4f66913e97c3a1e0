"""Telling: from a commit to every device of the household.

The channel layer and LISTEN carry only "household T is at seq N", and may lose it: the
head is read from the database once per household, process and beat. What a device gets
comes from `engine.page_after`, read and encoded once for all sockets that stand at the
same place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.layers import InMemoryChannelLayer, get_channel_layer

from tenants.authentication import is_still_valid
from tenants.context import run_in_public, run_in_tenant
from tenants.names import schema_name

from . import engine
from .core import messages
from .core.cursor import Cursor, end_of
from .core.errors import NotYours, Restarting, SignIn, SyncError
from .listening import Listener
from .repository import PostgresRepository

if TYPE_CHECKING:
    from .conversation import Conversation

log = logging.getLogger(__name__)

PUBLISH_TIMEOUT_S = 2
REPORTS_MAX = 200  # sync requests whose reports are remembered

_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The one hub of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = Hub()
    return found


class Room:
    """The sockets of one household in this process, and the newest head heard."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.head = 0
        self.sockets: set[Conversation] = set()
        self.delivery: asyncio.Task[None] | None = None
        self._is_awake = False

    def heard(self, head: int) -> None:
        """The household is at least at this seq."""
        if head > self.head:
            self.head = head
            self.wake()

    def wake(self) -> None:
        """Look whether any socket is due something."""
        self._is_awake = True
        if self.delivery is None or self.delivery.done():
            self.delivery = asyncio.ensure_future(self._deliver())

    async def _deliver(self) -> None:
        # Looks once more before it ends: a head may be heard while pages are being sent.
        while self._is_awake:
            self._is_awake = False
            for group in self._due():
                await self._give(group)
            for socket in self.sockets:
                if not socket.may_get_rows and socket.position < end_of(self.head):
                    socket.give_news(self.head)

    def _due(self) -> list[list[tuple[Conversation, int]]]:
        """Sockets that get a page, together where they stand at the same place.

        Each with its number of pulls: one that pulls again meanwhile stands elsewhere.
        """
        head = end_of(self.head)
        groups: dict[tuple[Any, ...], list[tuple[Conversation, int]]] = defaultdict(list)
        for socket in self.sockets:
            if socket.may_get_rows and (socket.is_asked or socket.position < head):
                cursor = socket.cursor
                place = (cursor.position, cursor.mark, cursor.epoch) if cursor else ()
                groups[(place, socket.limit)].append((socket, socket.pulls))
        return list(groups.values())

    async def _give(self, group: list[tuple[Conversation, int]]) -> None:
        """Read and encode one page, and hand it to all who (still) stand there."""
        first = group[0][0]
        users = {socket.user_id for socket, _ in group}
        page: engine.Page | None = None
        members: set[str] = set()
        error: SyncError | None = None
        try:
            page, members = await run_in_tenant(
                self.tenant_id,
                _read,
                self.tenant_id,
                first.cursor,
                first.limit,
                users,
                read_only=True,
            )
        except engine.CursorLost:
            error = Restarting("Connect again: what you have read does not hold.")
        except SyncError as failure:
            error = failure
        except Exception:
            log.exception("reading changes failed")
            error = Restarting()
        text = messages.encode(frame_of(page)) if page is not None else ""
        for socket, pulls in group:
            if socket not in self.sockets:
                continue
            if socket.pulls != pulls:
                self._is_awake = True
            elif error is not None:
                socket.lose_credit(error)
                if error.close_code is not None:
                    socket.spawn(socket.end(error))
            elif socket.user_id not in members:
                socket.lose_credit(NotYours())
                socket.spawn(socket.end(NotYours()))
            elif page is not None:
                socket.give_page(page, text)
        if page is not None and page.head.seq > self.head:
            self.head = page.head.seq
            self._is_awake = True


def frame_of(page: engine.Page) -> messages.Changes:
    return messages.Changes(
        rows=[messages.row_to_wire(row) for row in page.rows],
        start=page.start,
        to=page.to,
        cursor=page.cursor.to_text(),
        more=page.more,
        head=page.head.seq,
    )


def _read(
    connection: Any, tenant_id: UUID, cursor: Cursor | None, limit: int, users: set[str]
) -> tuple[engine.Page, set[str]]:
    """One page, and who of those waiting for it is still a member, in one snapshot."""
    repository = PostgresRepository(connection, schema_name(tenant_id))
    head = repository.read_head()
    return engine.page_after(repository, head, cursor, limit), repository.members(users)


class Hub:
    """All rooms of this process; hears from PostgreSQL and the channel layer for them."""

    def __init__(self) -> None:
        self.rooms: dict[UUID, Room] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._publishing: dict[UUID, asyncio.Task[None]] = {}
        self._channel = ""
        self._listener = Listener(self._notified, self._refresh_all)

    # --- sockets

    def join(self, socket: Conversation) -> Room:
        room = self.rooms.get(socket.tenant_id)
        if room is None:
            room = self.rooms[socket.tenant_id] = Room(socket.tenant_id)
            self._start()
            if self._channel:
                socket.spawn(self._subscribe(room.tenant_id))
        room.sockets.add(socket)
        return room

    def leave(self, socket: Conversation) -> None:
        room = self.rooms.get(socket.tenant_id)
        if room is None:
            return
        room.sockets.discard(socket)
        if not room.sockets:
            del self.rooms[socket.tenant_id]
            if self._channel:
                self._background(self._unsubscribe(room.tenant_id))
        if not self.rooms:
            self._stop()

    # --- news

    def announce(self, tenant_id: UUID, head: int) -> None:
        """After a commit in this process. Never fails, never waits."""
        room = self.rooms.get(tenant_id)
        if room is not None:
            room.heard(head)
        if not isinstance(get_channel_layer(), InMemoryChannelLayer | None):
            running = self._publishing.get(tenant_id)
            if running is None or running.done():
                self._publishing[tenant_id] = asyncio.ensure_future(self._publish(tenant_id, head))

    async def _publish(self, tenant_id: UUID, head: int) -> None:
        told = 0
        while head > told:
            try:
                async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                    await get_channel_layer().group_send(
                        group_of(tenant_id), {"type": "news", "tenant": tenant_id.hex, "head": head}
                    )
            except Exception as error:
                log.warning("the channel layer did not take news: %r", error)
            told = head
            room = self.rooms.get(tenant_id)
            head = room.head if room is not None else head
        self._publishing.pop(tenant_id, None)

    def _notified(self, channel: str, payload: str) -> None:
        """From PostgreSQL: a write outside the engine, a changed right, a sync request."""
        if channel == "finwise_news":
            schema, _, head = payload.partition(" ")
            room = self.rooms.get(UUID(schema.removeprefix("t_")))
            if room is not None:
                room.heard(int(head))
        elif channel == "finwise_access":
            self._background(self.check_access(payload))
        elif channel == "finwise_sync":
            schema, request_id, by = payload.split(" ", 2)
            room = self.rooms.get(UUID(schema.removeprefix("t_")))
            for socket in room.sockets if room else ():
                if socket.is_greeted:
                    request = messages.SyncRequest(id=request_id, by=by)
                    socket.spawn(socket.socket.send(request))

    # --- the beat

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(messages.HEARTBEAT_S)
            await self._refresh_all()
            await self.check_access()
            if self._channel:
                for tenant_id in list(self.rooms):
                    await self._subscribe(tenant_id)

    async def _refresh_all(self) -> None:
        """Read each household's head: whatever news were lost, nothing is missed.

        In the same round trip: who of those connected may (still) read it.
        """
        for room in list(self.rooms.values()):
            users = {socket.user_id for socket in room.sockets}
            try:
                head, members = await run_in_tenant(
                    room.tenant_id, _head_and_members, room.tenant_id, users
                )
                room.heard(head)
            except NotYours:
                members = set()
            except SyncError as error:
                log.info("reading a head failed: %s", error.code)
                continue
            except Exception:
                log.exception("reading a head failed")
                continue
            await _end_all(
                (each for each in room.sockets if each.user_id in users - members), NotYours()
            )

    async def check_access(self, user_id: str = "") -> None:
        """End the sockets of whoever may not stay: signed out, disabled, not a member."""
        visitors = defaultdict(list)
        for room in self.rooms.values():
            for socket in room.sockets:
                if user_id in ("", socket.user_id):
                    visitors[socket.visitor].append(socket)
        for visitor, sockets in visitors.items():
            try:
                if not await run_in_public(is_still_valid, visitor):
                    await _end_all(sockets, SignIn())
            except SyncError as error:
                log.info("checking access failed: %s", error.code)
            except Exception:
                log.exception("checking access failed")
        if user_id:
            await self._refresh_all()

    # --- life

    def _start(self) -> None:
        if self._tasks:
            return
        self._tasks = [
            asyncio.ensure_future(self._listener.run()),
            asyncio.ensure_future(self._beat()),
        ]
        if not isinstance(get_channel_layer(), InMemoryChannelLayer | None):
            self._tasks.append(asyncio.ensure_future(self._hear_layer()))

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._channel = ""

    async def _hear_layer(self) -> None:
        layer = get_channel_layer()
        self._channel = await layer.new_channel()
        for tenant_id in list(self.rooms):
            await self._subscribe(tenant_id)
        while True:
            try:
                message = await layer.receive(self._channel)
                room = self.rooms.get(UUID(message["tenant"]))
                if room is not None:
                    room.heard(int(message["head"]))
            except Exception as error:
                log.warning("the channel layer cannot be heard: %r", error)
                await asyncio.sleep(1)

    async def _subscribe(self, tenant_id: UUID) -> None:
        with _quietly("subscribing"):
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await get_channel_layer().group_add(group_of(tenant_id), self._channel)

    async def _unsubscribe(self, tenant_id: UUID) -> None:
        with _quietly("unsubscribing"):
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await get_channel_layer().group_discard(group_of(tenant_id), self._channel)

    def _background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        task.add_done_callback(
            lambda done: self._tasks.remove(done) if done in self._tasks else None
        )

    async def shutdown(self) -> None:
        """Each socket hears why, has its batch in hand finished, and is closed with 1012."""
        status = messages.Status(state="shutting_down")
        sockets = [socket for room in self.rooms.values() for socket in room.sockets]
        await asyncio.gather(
            *(each.end(Restarting("The server restarts."), status) for each in sockets),
            return_exceptions=True,
        )
        self._stop()


@contextlib.contextmanager
def _quietly(what: str) -> Any:
    try:
        yield
    except Exception as error:
        log.warning("%s on the channel layer failed: %r", what, error)


def group_of(tenant_id: UUID) -> str:
    """The one place that names groups: only ever hex, never anything a client typed."""
    return f"sync.{tenant_id.hex}"


async def shutdown() -> None:
    """End all conversations of this process in order (called before the server exits)."""
    await hub().shutdown()


async def _end_all(sockets: Iterable[Conversation], error: SyncError) -> None:
    await asyncio.gather(*(each.end(error) for each in list(sockets)), return_exceptions=True)


def _head_and_members(connection: Any, tenant_id: UUID, users: set[str]) -> tuple[int, set[str]]:
    repository = PostgresRepository(connection, schema_name(tenant_id))
    return repository.read_head().seq, repository.members(users)


# --- sync requests --------------------------------------------------------------------------

_reports: dict[str, dict[str, messages.Report]] = {}


def request_sync_inside_transaction(connection: Any, tenant_id: UUID, by: str) -> str:
    """Ask every connected device to sync, once the transaction commits; returns the request id.

    Works from any process: it travels by NOTIFY.
    """
    request_id = _new_request_id()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify('finwise_sync', %s)", [f"{schema_name(tenant_id)} {request_id} {by}"]
        )
    return request_id


def _new_request_id() -> str:
    text = secrets.token_hex(16)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def take_report(tenant_id: UUID, device_id: str, report: messages.Report) -> None:
    """Keep what a device answered, for whoever asked from this process."""
    key = f"{tenant_id.hex}/{report.id}"
    while len(_reports) >= REPORTS_MAX and key not in _reports:
        del _reports[next(iter(_reports))]
    _reports.setdefault(key, {})[device_id] = report


def reports_of(tenant_id: UUID, request_id: str) -> dict[str, messages.Report]:
    """The answers so far to a sync request, by device."""
    return dict(_reports.get(f"{tenant_id.hex}/{request_id}", {}))
