"""Telling: from a commit to every device of the household.

The channel layer and LISTEN carry only "household T is at seq N", and may lose it: the
head is read from the database once per household, process and beat. What a device gets
comes from `engine.page_after` (`rooms.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

from tenants.access import ACCESS_CHANNEL
from tenants.authentication import Visitor, is_still_valid
from tenants.context import run_in_public, run_in_tenant

from .core import messages
from .core.errors import NotYours, Restarting, SignIn, SyncError
from .listening import NEWS_CHANNEL, Listener
from .relay import Relay
from .rooms import Room, head_and_members
from .sync_requests import SYNC_CHANNEL, expect_reports

if TYPE_CHECKING:
    from .conversation import Conversation

log = logging.getLogger(__name__)

# One or two queries each, while a worker is taken.
VISITORS_AT_ONCE = 50

_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The one hub of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = Hub()
    return found


async def shutdown() -> None:
    """End all conversations of this process in order (called before the server exits)."""
    await hub().shutdown()


class Hub:
    """All rooms of this process; hears from PostgreSQL and the channel layer for them."""

    def __init__(self) -> None:
        self.rooms: dict[UUID, Room] = {}
        self.listener = Listener(self._notified, self.refresh)
        self._relay = Relay(self._heard)
        self._tasks: set[asyncio.Task[None]] = set()

    # --- sockets

    def join(self, socket: Conversation) -> Room:
        room = self.rooms.get(socket.tenant_id)
        if room is None:
            if not self.rooms:
                self._start()
            room = self.rooms[socket.tenant_id] = Room(socket.tenant_id)
            self._relay.follow(room.tenant_id)
        room.sockets.add(socket)
        return room

    def leave(self, socket: Conversation) -> None:
        """From now on the socket is told nothing. Does nothing if it never joined."""
        room = self.rooms.get(socket.tenant_id)
        if room is None:
            return
        room.sockets.discard(socket)
        if not room.sockets:
            del self.rooms[socket.tenant_id]
            self._relay.unfollow(room.tenant_id)
            if not self.rooms:
                self._stop()

    # --- news

    def announce(self, tenant_id: UUID, head: int) -> None:
        """After a commit in this process. Never fails, never waits."""
        self._heard(tenant_id, head)
        self._relay.publish(tenant_id, head)

    def _heard(self, tenant_id: UUID, head: int) -> None:
        room = self.rooms.get(tenant_id)
        if room is not None:
            room.heard(head)

    def _notified(self, channel: str, payload: str) -> None:
        """From PostgreSQL: a write outside the engine, a changed right, a sync request.

        Raises ValueError for what is none of ours.
        """
        if channel == NEWS_CHANNEL:
            schema, head = payload.split(" ")
            self._heard(_tenant_of(schema), int(head))
        elif channel == ACCESS_CHANNEL:
            self._spawn(self.check_access(UUID(payload)))
        elif channel == SYNC_CHANNEL:
            schema, request_id, by = payload.split(" ", 2)
            room = self.rooms.get(_tenant_of(schema))
            if room is not None:
                request_id = str(UUID(request_id))
                expect_reports(room.tenant_id, request_id)
                for socket in room.sockets:
                    socket.ask_to_sync(messages.SyncRequest(id=request_id, by=by))

    # --- the beat

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(messages.HEARTBEAT_S)
            try:
                await self.refresh()
                await self.check_access()
            except Exception:
                log.exception("a heartbeat failed")
            self._relay.subscribe_again()

    async def refresh(self) -> None:
        """Read every household's head: whatever news were lost, nothing is missed."""
        for room in tuple(self.rooms.values()):
            await self._refresh(room)

    async def _refresh(self, room: Room) -> None:
        """Read a household's head and, in the same round trip, who may (still) read it."""
        users = {socket.user_id for socket in room.sockets}
        before = room.belief()
        try:
            head, members = await run_in_tenant(
                room.tenant_id, head_and_members, room.tenant_id, users
            )
        except NotYours:  # deleted
            members = set()
        except SyncError as error:
            log.info("reading a head failed: %s", error.code)
            return
        except Exception:
            log.exception("reading a head failed")
            return
        else:
            room.learn(head, before)
        gone = users - members
        _end_all((each for each in room.sockets if each.user_id in gone), NotYours())

    async def check_access(self, user_id: UUID | None = None) -> None:
        """End the sockets of whoever may not stay: signed out, disabled, not a member.

        user_id: look at this person only, whose rights have changed.
        """
        visitors = defaultdict(list)
        places: set[Room] = set()
        for room in self.rooms.values():
            for socket in room.sockets:
                if user_id in (None, socket.visitor.user_id):
                    visitors[socket.visitor].append(socket)
                    places.add(room)
        waiting = list(visitors)
        for start in range(0, len(waiting), VISITORS_AT_ONCE):
            some = waiting[start : start + VISITORS_AT_ONCE]
            try:
                for visitor in await run_in_public(_no_longer_valid, some):
                    _end_all(visitors[visitor], SignIn())
            except SyncError as error:
                log.info("checking access failed: %s", error.code)
            except Exception:
                log.exception("checking access failed")
        if user_id is not None:  # the beat has just refreshed
            for room in places:
                await self._refresh(room)

    # --- life

    def _start(self) -> None:
        self._relay.start()
        self._spawn(self.listener.run())
        self._spawn(self._beat())

    def _stop(self) -> None:
        # The relay stays: without rooms it follows nobody.
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def shutdown(self) -> None:
        """Each socket hears why, has its batch in hand finished, and is closed with 1012."""
        sockets = [socket for room in self.rooms.values() for socket in room.sockets]
        status = messages.Status(state="shutting_down")
        endings = [each.end_soon(Restarting("The server restarts."), status) for each in sockets]
        if endings:
            await asyncio.wait(endings)


def _no_longer_valid(visitors: list[Visitor]) -> list[Visitor]:
    return [visitor for visitor in visitors if not is_still_valid(visitor)]


def _end_all(sockets: Iterable[Conversation], error: SyncError) -> None:
    for socket in tuple(sockets):
        socket.end_soon(error)


def _tenant_of(schema: str) -> UUID:
    return UUID(schema.removeprefix("t_"))
