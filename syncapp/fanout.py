"""Telling: from a commit to every device of the household.

The channel layer and LISTEN carry only "household T is at seq N", and may lose it: the
head is read from the database once per household, process and beat. What a device gets
comes from `engine.page_after` (`rooms.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

from tenants.access import ACCESS_CHANNEL
from tenants.authentication import Visitor, is_still_valid
from tenants.context import run_in_public, run_in_tenant

from . import metrics
from .closing import CLOSE_CHANNEL
from .core import messages
from .core.errors import NotYours, Restarting, SignIn, SyncError, TooFast
from .deliveries import add_deliveries
from .listening import NEWS_CHANNEL, Listener
from .presence import LastWords, Newest, note_left
from .relay import Relay
from .rooms import Room, head_and_readers
from .summarising import summarise
from .sync_requests import REPORT_CHANNEL, SYNC_CHANNEL, note_asked

if TYPE_CHECKING:
    from .conversation import Conversation

log = logging.getLogger(__name__)

VIEWER = "viewer"
# One or two queries each, while a worker is taken.
VISITORS_AT_ONCE = 50
# Households whose summary is renewed in one beat, at most.
SUMMARIES_A_BEAT = 100

# In one process: far more than people have devices, far fewer than would fill its memory.
SOCKETS_PER_PERSON = 1_000
SOCKETS_PER_HOUSEHOLD = 2_000
TOO_MANY_PAUSE_MS = 60_000

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
        self.listener = Listener(self._notified, self._listening)
        self._relay = Relay(self._heard)
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()  # outlive the last room
        self._watchers: dict[UUID, set[Callable[[], None]]] = defaultdict(set)
        self._waiting: set[Conversation] = set()  # for a right that they do not have yet
        self._sockets_of: Counter[UUID] = Counter()
        self._is_ending = False

    # --- sockets

    def join(self, socket: Conversation) -> Room:
        """Raises TooFast for more sockets than a person, or a household, can be using."""
        room = self.rooms.get(socket.tenant_id)
        if self._sockets_of[socket.user_id] >= SOCKETS_PER_PERSON or (
            room is not None and len(room.sockets) >= SOCKETS_PER_HOUSEHOLD
        ):
            raise TooFast("Too many devices are connected.", retry_after_ms=TOO_MANY_PAUSE_MS)
        if room is None:
            self._start()
            room = self.rooms[socket.tenant_id] = Room(socket.tenant_id)
            self._relay.follow(room.tenant_id)
            metrics.HOUSEHOLDS.inc()
        room.sockets.add(socket)
        self._sockets_of[socket.user_id] += 1
        metrics.SOCKETS.inc()
        return room

    def leave(self, socket: Conversation) -> None:
        """From now on the socket is told nothing. Does nothing if it never joined."""
        room = self.rooms.get(socket.tenant_id)
        if room is None or socket not in room.sockets:
            return
        room.sockets.discard(socket)
        self._sockets_of[socket.user_id] -= 1
        if not self._sockets_of[socket.user_id]:
            del self._sockets_of[socket.user_id]
        metrics.SOCKETS.dec()
        is_last = not room.sockets
        if is_last:
            metrics.HOUSEHOLDS.dec()
            del self.rooms[socket.tenant_id]
            self._unfollow(room.tenant_id)
            if not self.rooms:
                metrics.note_beat((), is_listening=self.listener.is_up)
        words = socket.last_words()
        if words is not None and not self._is_ending:
            ending = asyncio.ensure_future(self._note_left(room, words, is_last))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def _note_left(self, room: Room, words: LastWords, is_last: bool) -> None:
        """Best effort: a device that is not heard any more is away in any case."""
        try:
            await run_in_tenant(room.tenant_id, note_left, room.tenant_id, words)
            if is_last:
                await self._write_deliveries(room)
                await run_in_public(summarise, [room.tenant_id])
        except SyncError as error:
            log.info("noting that a device left failed: %s", error.code)
        except Exception:
            log.exception("noting that a device left failed")
        self.stir(room.tenant_id)

    def wait(self, socket: Conversation) -> None:
        """Let the socket `look_again` when its person's rights change, and at each beat.

        Raises TooFast for more sockets than a person can be using.
        """
        alike = sum(each.user_id == socket.user_id for each in self._waiting)
        if alike >= SOCKETS_PER_PERSON:
            raise TooFast("Too many devices are connected.", retry_after_ms=TOO_MANY_PAUSE_MS)
        self._start()
        self._waiting.add(socket)

    def stop_waiting(self, socket: Conversation) -> None:
        """Does nothing if it does not wait."""
        if socket in self._waiting:
            self._waiting.discard(socket)
            self._stop_if_idle()

    # --- people who look on

    def watch(self, tenant_id: UUID, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something of the household may look different to an operator.

        Like all news it may be lost: whoever watches looks by himself now and then, too.
        """
        self._start()
        if not self._watchers[tenant_id] and tenant_id not in self.rooms:
            self._relay.follow(tenant_id)
        self._watchers[tenant_id].add(wake)

    def unwatch(self, tenant_id: UUID, wake: Callable[[], None]) -> None:
        self._watchers[tenant_id].discard(wake)
        if not self._watchers[tenant_id]:
            del self._watchers[tenant_id]
            self._unfollow(tenant_id)

    def stir(self, tenant_id: UUID) -> None:
        """Something of the household may look different now."""
        for wake in tuple(self._watchers.get(tenant_id, ())):
            wake()

    def _unfollow(self, tenant_id: UUID) -> None:
        if tenant_id not in self.rooms and tenant_id not in self._watchers:
            self._relay.unfollow(tenant_id)
        self._stop_if_idle()

    def newest(self, tenant_id: UUID) -> dict[str, Newest]:
        """What this process knows of the devices that are connected to it."""
        room = self.rooms.get(tenant_id)
        sockets = room.sockets if room is not None else ()
        words = {each.device_id: each.last_words() for each in sockets}
        return {key: Newest(said.cursor, said.pending) for key, said in words.items() if said}

    # --- news

    def announce(self, tenant_id: UUID, head: int) -> None:
        """After a commit in this process. Never fails, never waits."""
        self._heard(tenant_id, head)
        self._relay.publish(tenant_id, head)

    def _heard(self, tenant_id: UUID, head: int) -> None:
        room = self.rooms.get(tenant_id)
        if room is not None:
            room.heard(head)
        self.stir(tenant_id)

    def _notified(self, channel: str, payload: str) -> None:
        """From PostgreSQL: a write outside the engine, a changed right, a sync request.

        Raises ValueError for what is none of ours.
        """
        if channel == NEWS_CHANNEL:
            schema, head = payload.split(" ")
            self._heard(_tenant_of(schema), int(head))
        elif channel == ACCESS_CHANNEL:
            self._spawn(self.check_access(UUID(payload)))
            for tenant_id in tuple(self._watchers):
                self.stir(tenant_id)  # may who looks on still look?
        elif channel == SYNC_CHANNEL:
            schema, request_id, by = payload.split(" ", 2)
            room = self.rooms.get(_tenant_of(schema))
            if room is not None:
                self._ask_to_sync(room, messages.SyncRequest(id=str(UUID(request_id)), by=by))
            self.stir(_tenant_of(schema))
        elif channel == REPORT_CHANNEL:
            self.stir(_tenant_of(payload))
        elif channel == CLOSE_CHANNEL:
            schema, device_id = payload.split(" ")
            room = self.rooms.get(_tenant_of(schema))
            if room is not None:
                sockets = (each for each in room.sockets if device_id in ("*", each.device_id))
                _end_all(sockets, Restarting("The operator asks this device to connect again."))

    def _ask_to_sync(self, room: Room, request: messages.SyncRequest) -> None:
        asked = {each.device_id for each in room.sockets if each.ask_to_sync(request)}
        if asked:
            self._spawn(self._note_asked(room.tenant_id, request.id, asked))

    async def _note_asked(self, tenant_id: UUID, request_id: str, asked: set[str]) -> None:
        try:
            await run_in_tenant(tenant_id, note_asked, tenant_id, request_id, asked)
        except SyncError as error:
            log.info("noting who was asked to sync failed: %s", error.code)
        except Exception:
            log.exception("noting who was asked to sync failed")

    # --- the beat

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(messages.HEARTBEAT_S)
            try:
                await self.refresh()
                await self.check_access()
                await self._keep_books()
            except Exception:
                log.exception("a heartbeat failed")
            metrics.note_beat(self.rooms.values(), is_listening=self.listener.is_up)
            self._relay.subscribe_again()

    async def _keep_books(self) -> None:
        """Write down what people look at later: outside of pushes, and some at a time."""
        for room in tuple(self.rooms.values()):
            await self._write_deliveries(room)
        # Those that waited longest come first; another process may have done some already.
        tenant_ids = list(self.rooms)
        if tenant_ids:
            await run_in_public(summarise, tenant_ids, SUMMARIES_A_BEAT)

    async def _write_deliveries(self, room: Room) -> None:
        counts = room.deliveries.take()
        if not counts:
            return
        try:
            await run_in_tenant(room.tenant_id, add_deliveries, room.tenant_id, counts)
        except BaseException:
            room.deliveries.put_back(counts)
            raise

    async def _listening(self) -> None:
        """From now on nothing is missed; what was until now is looked for."""
        for socket in tuple(self._waiting):
            socket.look_again()
        await self.refresh()

    async def refresh(self) -> None:
        """Read every household's head: whatever news were lost, nothing is missed."""
        for room in tuple(self.rooms.values()):
            await self._refresh(room)

    async def _refresh(self, room: Room) -> None:
        """Read a household's head and, in the same round trip, who may (still) read it."""
        users = {socket.user_id for socket in room.sockets}
        devices = {socket.device_id for socket in room.sockets if socket.is_greeted}
        before = room.belief()
        members: dict[str, str] = {}
        revoked: set[str] = set()
        try:
            head, members, revoked = await run_in_tenant(
                room.tenant_id, head_and_readers, room.tenant_id, users, devices
            )
        except NotYours:
            log.debug("%s was deleted", room.tenant_id)
        except SyncError as error:
            log.info("reading a head failed: %s", error.code)
            return
        except Exception:
            log.exception("reading a head failed")
            return
        else:
            room.learn(head, before)
        # Whoever came meanwhile was not asked about, and read his right when he came.
        gone = users - members.keys()
        _end_all((each for each in room.sockets if each.user_id in gone), NotYours())
        _end_all((each for each in room.sockets if each.device_id in revoked), Restarting())
        # A device that was told that it may not write asks no more, until the next welcome.
        may_write = {user for user, role in members.items() if role != VIEWER}
        _end_all(
            (each for each in room.sockets if each.is_read_only and each.user_id in may_write),
            Restarting("You may edit again; connect again."),
        )
        for each in tuple(room.sockets):
            if members.get(each.user_id) == VIEWER:
                each.may_only_look()

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
        for socket in tuple(self._waiting):
            if user_id in (None, socket.visitor.user_id):
                socket.look_again()
        if user_id is not None:  # the beat has just refreshed
            for room in places:
                await self._refresh(room)

    # --- life

    def _start(self) -> None:
        if self.rooms or self._watchers or self._waiting:
            return
        self._relay.start()
        self._spawn(self.listener.run())
        self._spawn(self._beat())

    def _stop_if_idle(self) -> None:
        if self.rooms or self._watchers or self._waiting:
            return
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
        self._is_ending = True
        sockets = [socket for room in self.rooms.values() for socket in room.sockets]
        sockets += self._waiting
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
