"""One device's conversation: each frame becomes at most one call to the engine.

Frames of a socket are handled one after the other, so effects and answers come in order,
and there is never more than one unanswered push.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tenants.authentication import Visitor, standing_of
from tenants.context import run_in_public, run_in_tenant
from tenants.names import schema_name
from tenants.provisioning import is_household_name, provision

from . import engine, fanout, greetings, metrics, registry
from .core import messages
from .core.cursor import START, Cursor, Position, text_to_anchor, text_to_cursor
from .core.entity import describe, version_of
from .core.errors import (
    BadFrame,
    Forbidden,
    Maintenance,
    NoHello,
    NotYours,
    OutOfTurn,
    Restarting,
    SyncError,
    TooFast,
)
from .presence import LastWords
from .repository import PostgresRepository
from .rooms import Room
from .sync_requests import take_report

if TYPE_CHECKING:
    from .consumers import SyncConsumer

# How a device is, is written down when it changes, and at least this often.
NOTE_EVERY_S = 60
# How long whoever ends a conversation waits for the frame in hand, or for a peer to read.
END_PATIENCE_S = 10
# A device may ask again for what is on its way to it already, but not for ever: each time
# costs the server a page, whether it is read or not.
REPEATED_ASKS_MAX = 8
TOO_FAST_PAUSE_MS = 5_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Conversation:
    """What the server knows of one socket: who, how far it has read, what it owes."""

    def __init__(self, socket: SyncConsumer, tenant_id: UUID, visitor: Visitor) -> None:
        self.socket = socket
        self.tenant_id = tenant_id
        self.visitor = visitor
        self.user_id = str(visitor.user_id)
        self.device_id = ""
        self.is_greeted = False
        self.is_read_only = False  # so it was told, by its welcome or by a refused push
        self.room = Room(tenant_id)  # nobody's, until hello joins the household's
        # Reading: credit begins with the first pull; a frame with rows is outstanding until
        # a pull stands at or behind its end.
        self.cursor: Cursor | None = None
        self.limit = messages.BATCH_MAX_ROWS
        self.has_pulled = False
        self.is_asked = False
        self.pulls = 0  # tells whether another pull came while a page was being read
        self.outstanding: Position | None = None
        self._repeated_asks = 0  # since the outstanding frame
        self._has_more = False  # its last page was not the end of a walk
        self._is_sending = False  # a page that the peer's network has not taken yet
        self._has_news = False  # told already, since the frame that is outstanding
        self._told_head = -1  # the newest head that this device was told
        # What the database has told this device, and has to go on holding.
        self.anchor = ""  # of its newest ack, until a page has told as much
        self._acknowledged = 0
        self._is_healing = False
        self._told_reset = ""  # until it pulls
        self._noted: tuple[Any, ...] = ()
        self._noted_at = 0.0
        # For those who look after the household.
        self.confirmed: Cursor | None = None  # of the last pull: all before it is stored
        self._connected_at = 0.0
        self._seen_ms = 0
        self._pending = 0  # as the device said last, less what was settled after
        self._refused = 0  # since the device said how many
        self._given_behind = -1  # where the outstanding frame begins
        self.tasks: set[asyncio.Task[None]] = set()

    # --- frames

    async def handle(self, frame: messages.UpFrame) -> None:
        """Handle one frame. Raises SyncError: the frame settled nothing."""
        match frame:
            case messages.Hello():
                await self._hello(frame)
            case _ if not self.is_greeted:
                raise OutOfTurn("The first frame must be a hello.")
            case messages.Push():
                await self._write(engine.apply_push, frame)
            case messages.Rows():
                heal = partial(engine.apply_rows, is_healing=self._is_healing)
                await self._write(heal, frame)
                self._is_healing = self._is_healing and not frame.last
            case messages.Pull():
                await self._note_reset()
                self._pull(frame)
            case messages.Ping():
                await self._ping(frame)
            case messages.Report():
                await self._note(frame, is_urgent=True)
                await run_in_tenant(
                    self.tenant_id, take_report, self.tenant_id, self.device_id, frame
                )

    async def _hello(self, hello: messages.Hello) -> None:
        if self.is_greeted:
            raise OutOfTurn("This conversation has begun already.")
        created = await self._find_household(hello)
        # Join first, then read the head: what commits in between is heard.
        self.room = fanout.hub().join(self)
        greeting = await self._call(greetings.greet, hello, self.user_id, self._now(), write=True)
        self.device_id = hello.device
        entities, version = _entities()
        await self.socket.send(
            messages.Welcome(
                time_ms=now_ms(),
                head=greeting.head.seq,
                role=greeting.role,
                version=version,
                entities=entities,
                limits=messages.Limits(),
                resume=greeting.resume,
                reset=greeting.reset,
                identity="taken" if greeting.is_identity_taken else "kept",
                created=created,
                user=self.user_id,
            )
        )
        if greeting.is_identity_taken:
            await self.socket.close(Restarting.close_code)
            return
        self.is_greeted = True
        self.is_read_only = greeting.role == "viewer"
        self._pending = hello.pending
        self._acknowledged = hello.acknowledged
        # As long as the household holds it: an ack of a new past would have it forgotten.
        self.anchor = "" if greeting.reset else hello.anchor
        self._is_healing = greeting.is_healing
        self._told_reset = greeting.reset or ""
        self._connected_at = time.monotonic()
        self._told_head = greeting.head.seq
        self.room.heard(greeting.head.seq)
        fanout.hub().stir(self.tenant_id)

    async def _find_household(self, hello: messages.Hello) -> bool:
        """Make sure there is a household that is theirs; True if this hello brought it."""
        standing = await run_in_public(standing_of, self.visitor.user_id, self.tenant_id)
        if standing is not None:
            if standing.status == "maintenance":
                raise Maintenance(retry_after_ms=60_000)
            return False
        if hello.household is None:
            raise NotYours()
        if not is_household_name(hello.household.name):
            raise BadFrame("A household needs a name.")
        loop = asyncio.get_running_loop()

        def progress(step: int, of: int) -> None:  # called on the worker's thread
            frame = messages.Provisioning(step=step, of=of)
            loop.call_soon_threadsafe(lambda: self.spawn(self.socket.send(frame)))

        await run_in_public(
            provision, self.tenant_id, hello.household.name, self.visitor.user_id, progress
        )
        return True

    async def _write(self, function: Any, frame: messages.Push | messages.Rows) -> None:
        began_s = time.monotonic()
        try:
            outcome: engine.Outcome = await self._call(
                partial(function, anchor=self.anchor),
                self.device_id,
                self.user_id,
                frame,
                self._now(),
                write=True,
            )
        except Forbidden:
            self.is_read_only = True
            if isinstance(frame, messages.Push):  # it holds at least these, whatever it said last
                self._pending = max(self._pending, len(frame.changes))
                fanout.hub().stir(self.tenant_id)
            raise
        self.anchor = outcome.ack.anchor
        if isinstance(frame, messages.Push):
            self._acknowledged = max(self._acknowledged, frame.acknowledged)
        self._pending = max(0, self._pending - len(outcome.ack.results))
        self._refused += sum(each.fate == "refused" for each in outcome.ack.results)
        # First, because a peer that does not read keeps its ack waiting.
        if outcome.seq is not None:
            fanout.hub().announce(self.tenant_id, outcome.seq)
        await self.socket.send(outcome.ack)
        metrics.note_answer(outcome.ack.results, time.monotonic() - began_s)

    def _pull(self, pull: messages.Pull) -> None:
        """Take the credit; the room answers as soon as there is something to say."""
        cursor = text_to_cursor(pull.cursor) if pull.cursor is not None else None
        if pull.cursor is not None and cursor is None:
            raise Restarting("This cursor does not hold.")
        self.cursor, self.limit = cursor, pull.limit
        self.confirmed = cursor
        self.pulls += 1
        self.is_asked = self.is_asked or pull.ask
        has_arrived = self.outstanding is None or self.position >= self.outstanding
        self._repeated_asks = 0 if has_arrived else self._repeated_asks + pull.ask
        if self._repeated_asks > REPEATED_ASKS_MAX:
            raise TooFast(retry_after_ms=TOO_FAST_PAUSE_MS)
        if has_arrived and self.outstanding is not None:
            took_s = self.room.deliveries.delivered(self._given_behind, self._connected_at)
            if took_s is not None:
                metrics.DELIVERY.observe(took_s)
        if has_arrived or pull.ask:
            self.outstanding = None
            self._has_news = False
            self.has_pulled = True
        self.room.wake()

    async def _note_reset(self) -> None:
        """Whoever pulls has heard the welcome, and noted the reset that it told."""
        if self._told_reset:
            told = (self.device_id, now_ms(), self._told_reset)
            await self._call(greetings.note_reset, *told, write=True)
            self._told_reset = ""

    async def _ping(self, ping: messages.Ping) -> None:
        # While LISTEN is down nobody tells us whose rights have ended: the database is asked.
        await self._note(ping, is_urgent=not fanout.hub().listener.is_up)
        await self.socket.send(messages.Pong(time_ms=now_ms(), head=self.room.head))

    async def _note(self, said: messages.Ping | messages.Report, is_urgent: bool = False) -> None:
        """Write down how the device is, if that is news."""
        noted = (said.pending, said.refused, said.parked, said.cursor, self.anchor)
        now = time.monotonic()
        if noted == self._noted and now - self._noted_at < NOTE_EVERY_S and not is_urgent:
            return
        ping = (
            said
            if isinstance(said, messages.Ping)
            else messages.Ping(
                pending=said.pending, refused=said.refused, parked=said.parked, cursor=said.cursor
            )
        )
        head = await self._call(
            greetings.note_ping,
            self.device_id,
            self.user_id,
            ping,
            self._now(),
            self.anchor,
            self._acknowledged,
            write=True,
        )
        self._noted, self._noted_at = noted, now
        self._pending, self._refused = said.pending, 0
        fanout.hub().stir(self.tenant_id)
        self.room.heard(head.seq)

    def _now(self) -> int:
        """The time of a call that says that the device was heard."""
        self._seen_ms = now_ms()
        return self._seen_ms

    async def _call(self, function: Any, *args: Any, write: bool = False) -> Any:
        """One call to the engine: off the event loop, inside the household, one transaction."""
        return await run_in_tenant(
            self.tenant_id, _in_repository, self.tenant_id, function, args, write=write
        )

    # --- what the room asks and does

    @property
    def position(self) -> Position:
        return self.cursor.position if self.cursor is not None else START

    @property
    def may_get_rows(self) -> bool:
        return self.has_pulled and self.outstanding is None and not self._is_sending

    def give_page(self, page: engine.Page, text: str) -> None:
        """Send a page that the room has read and encoded; does not wait for the peer."""
        self.cursor = page.cursor
        anchor = text_to_anchor(self.anchor)
        if anchor is not None and anchor[0] <= page.head.seq:
            self.anchor = ""  # the cursor has a newer one
        # A seq without rows still moves the device on: its row has gone further, or was compacted.
        if not (page.rows or self.is_asked or page.to > page.start):
            return
        self.is_asked, self._has_more = False, page.more
        self._told_head = max(self._told_head, page.head.seq)
        if page.rows:  # an empty answer costs no credit
            self.outstanding = page.cursor.position
            self._given_behind = page.start
        self._is_sending = True
        self.spawn(self._send_page(text))

    async def _send_page(self, text: str) -> None:
        await self.socket.send_text(text)
        self._is_sending = False
        if self.may_get_rows:  # it was not, while it could have been due
            self.room.wake()

    def lose_page(self, error: SyncError) -> None:
        """A page could not be read. Whoever waits for it hears it; the others get news."""
        of = "pull" if self.is_asked or self._has_more else ""
        self.is_asked = self.has_pulled = self._has_news = False
        self._told_head = -1
        if error.close_code is not None:
            self.end_soon(error, of=of)
        elif of:
            self.spawn(self.socket.fail(error, of=of))

    def give_news(self, head: int) -> None:
        """At most one while a frame is outstanding, and never what was told already."""
        if self.is_greeted and not self._has_news and head > self._told_head:
            self._has_news = True
            self._told_head = head
            self.spawn(self.socket.send(messages.News(head=head)))

    def ask_to_sync(self, request: messages.SyncRequest) -> bool:
        """Pass the request on, if the device has said hello."""
        if self.is_greeted:
            self.spawn(self.socket.send(request))
        return self.is_greeted

    def may_only_look(self) -> None:
        """Its person may not write (any more). A device of ours hears it when it tries to."""

    def look_again(self) -> None:
        """Rights have changed, while this socket waits for one; it never does."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something run beside the conversation; it ends with it."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def end_soon(
        self, error: SyncError, status: messages.Status | None = None, of: str = ""
    ) -> asyncio.Task[None]:
        """End the conversation from our side, after the frame in hand; tells nothing more."""
        self.leave_room()
        return self.spawn(self._end(error, status, of))

    async def _end(self, error: SyncError, status: messages.Status | None, of: str) -> None:
        try:
            async with asyncio.timeout(END_PATIENCE_S), self.socket.busy:
                if status is not None:
                    await self.socket.send(status)
                await self.socket.fail(error, of=of)
        except TimeoutError:
            await self.socket.close(error.close_code or Restarting.close_code)

    async def end_unless_greeted(self) -> None:
        """The time for a hello is over; one that is in hand is waited for."""
        async with self.socket.busy:
            if not self.is_greeted:
                await self.socket.fail(NoHello())

    def leave_room(self) -> None:
        """From now on this socket gets neither changes nor news."""
        fanout.hub().leave(self)

    def last_words(self) -> LastWords | None:
        """What is known of the device at its end; None if it never said hello."""
        if not self.is_greeted:
            return None
        return LastWords(
            self.device_id, self._seen_ms, self.confirmed, self._pending, self._refused
        )

    def leave(self) -> None:
        """The socket has ended."""
        self.leave_room()
        for task in tuple(self.tasks):
            task.cancel()


def _in_repository(connection: Any, tenant_id: UUID, function: Any, args: tuple[Any, ...]) -> Any:
    return function(PostgresRepository(connection, schema_name(tenant_id)), *args)


@lru_cache(maxsize=1)
def _entities() -> tuple[dict[str, Any], str]:
    entities = registry.entities()
    return describe(entities), version_of(entities)
