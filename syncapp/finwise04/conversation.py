"""One FinWise 0.4 app's conversation: it waits, arrives, is shown everything, and lives on.

The app loses an entry for good when it hears no answer, or a nack. So an entry that was
received is tried until it has its fate, and nothing is said that would let the app send
entries which could not be taken now.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from tenants.authentication import Visitor, is_still_valid, standing_of
from tenants.context import run_in_public, run_in_tenant
from tenants.names import schema_name

from .. import fanout
from ..conversation import END_PATIENCE_S, NOTE_EVERY_S, Conversation, now_ms
from ..core import messages
from ..core.cursor import Cursor
from ..core.errors import Forbidden, NotYours, Restarting, SignIn, SyncError
from ..dialects import finwise04 as dialect
from ..engine import CursorLost
from ..repository import PostgresRepository
from ..sync_requests import take_report
from . import household
from .kinds import kinds
from .store import PostgresShown

if TYPE_CHECKING:
    from .consumer import AppConsumer

log = logging.getLogger(__name__)
Result = TypeVar("Result")

# Between two tries of what the database could not do, at first and at most.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
# After a mistake of ours, which may be one of the moment.
PAUSES_AFTER_MISTAKES_S = (0.2, 1.0, 3.0)
WALKS_MAX = 5  # a load begins anew when what it has read does not hold any more
# What changes in quick succession is read together; the app itself looks every 5 seconds.
GATHER_S = 0.05
# What the app has sent before it heard that we end is still on its way.
QUIET_S = 0.5


class AppConversation(Conversation):
    """What the server knows of one app on one socket."""

    socket: AppConsumer  # type: ignore[assignment]

    def __init__(
        self, socket: AppConsumer, tenant_id: UUID, visitor: Visitor, browser: str, name: str
    ) -> None:
        super().__init__(socket, tenant_id, visitor)  # type: ignore[arg-type]
        self.identity = dialect.identity_of(self.user_id, str(tenant_id), browser)
        self._name = name
        self._looking = asyncio.Lock()
        # Held from what a transaction shows until it is sent: so the app hears of each row in
        # the order of its states. A delete sent before an older record would be undone by it.
        self._telling = asyncio.Lock()
        self._news = asyncio.Event()
        self._told: dict[household.Key, int] = {}  # the state of each row that was sent last
        self._clock_offset_ms = 0
        self._is_in_maintenance = False

    # --- arriving

    async def look(self) -> None:
        """Arrive, if the household is theirs by now. Called again whenever rights change."""
        async with self._looking:
            pause_s = FIRST_PAUSE_S
            while not self.is_greeted and not self.socket.is_ended:
                try:
                    await self._look()
                    return
                except SyncError as error:
                    if not error.retryable or error.close_code is not None:
                        await self.socket.fail(error)
                        return
                except Exception:
                    log.exception("an app could not arrive")
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _look(self) -> None:
        if not await run_in_public(is_still_valid, self.visitor):
            raise SignIn()
        standing = await run_in_public(standing_of, self.visitor.user_id, self.tenant_id)
        if standing is None:
            return
        if standing.status == "maintenance":
            if not self._is_in_maintenance:
                self._is_in_maintenance = True
                await self.socket.tell(dialect.status("maintenance"))
            return
        # Join first, then read the head: what commits in between is heard.
        self.room = fanout.hub().join(self)
        try:
            welcome: household.Welcome = await self._at_desk(household.arrive, self._hello())
        except BaseException as error:
            fanout.hub().leave(self)
            if isinstance(error, NotYours):  # the household's own list of members says so
                return
            raise
        if welcome.is_revoked:
            raise NotYours()
        self.device_id = self.identity.device
        self.cursor = self.confirmed = welcome.cursor
        self.is_greeted = True
        fanout.hub().stop_waiting(self)
        self.spawn(self._tell_news())
        if welcome.role == "viewer":
            self.is_read_only = True
            await self._only_show()
        else:
            await self.socket.tell(dialect.status("online"))
        self.room.heard(welcome.cursor.anchor_seq)
        self._news.set()

    def _hello(self) -> messages.Hello:
        return messages.Hello(
            device=self.identity.device,
            node=self.identity.node,
            name=self._name,
            app=dialect.APP,
            clock_ms=now_ms() + self._clock_offset_ms if self._clock_offset_ms else 0,
        )

    def may_only_look(self) -> None:
        """At once: what the app sends from now on would be refused, and lost."""
        if self.is_greeted and not self.is_read_only:
            self.is_read_only = True
            self.spawn(self._quietly(self._only_show))

    async def _only_show(self) -> None:
        """Who may not write is not told `online`: then nothing that was typed is sent, and lost."""
        message = "Du darfst diesen Haushalt ansehen, aber nicht ändern."
        await self.socket.tell(dialect.status("maintenance", message))
        await self._load()

    # --- frames

    async def hear(self, said: dialect.Said) -> None:
        """Handle one frame. Raises SyncError."""
        self._seen_ms = now_ms()
        match said:
            case dialect.Entry():
                await self._take(said)
            case dialect.BadEntry():
                await self.socket.tell(dialect.sync_nack(said, said.detail))
            case dialect.InitialDataRequest():
                if said.tenant_id.lower() == str(self.tenant_id):
                    await self._insist("a load", self._load)
            case dialect.Ping():
                await self.socket.tell(dialect.pong(said))
            case dialect.ConnectionStatusRequest():
                await self.socket.tell(dialect.connection_status_response(str(self.tenant_id)))
            case dialect.DataStatusRequest():
                await self.socket.tell(dialect.data_status_response(str(self.tenant_id), now_ms()))

    async def _take(self, entry: dialect.Entry) -> None:
        if entry.last_attempt is not None:
            self._clock_offset_ms = entry.last_attempt - now_ms()
        async with self._telling:
            try:
                answer = await self._insist(
                    f"entry {entry.id}", lambda: self._at_desk(household.take_entry, entry)
                )
            except Forbidden as error:
                await self._refuse(entry, error)
                return
            # First, because a peer that does not read keeps its answer waiting.
            if answer.seq is not None:
                fanout.hub().announce(self.tenant_id, answer.seq)
            self._told |= answer.states
            for frame in answer.frames:
                await self.socket.tell(frame)

    async def _insist(self, what: str, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do something, a few times if we make mistakes ourselves. Raises the last of them.

        Then nothing is said of an entry: the app keeps it, as one that has no answer yet, and
        what lies behind it is taken.
        """
        for pause_s in PAUSES_AFTER_MISTAKES_S:
            try:
                return await work()
            except (SyncError, ConnectionError):
                raise
            except Exception:
                log.exception("%s could not be done; it is tried again", what)
            await asyncio.sleep(pause_s)
        return await work()

    async def _refuse(self, entry: dialect.Entry, error: SyncError) -> None:
        """They could write when this was sent, and may not any more."""
        await self.socket.tell(dialect.sync_nack(entry, error.message, error.code))
        self.may_only_look()

    # --- showing

    async def _load(self) -> int:
        """Send everything that is here, then what is gone; returns how many rows."""
        await self.socket.may_load()
        seen: set[household.Key] = set()
        for _ in range(WALKS_MAX):
            try:
                await self._walk(seen)
                break
            except CursorLost:
                continue
        else:
            raise Restarting()
        async with self._telling:
            for frame in await self._at_desk(household.show_what_is_forgotten, seen):
                await self.socket.tell(frame)
        await self._note_place()
        return len(seen)

    async def _walk(self, seen: set[household.Key]) -> None:
        cursor: Cursor | None = None
        more = True
        while more:
            async with self._telling:
                shared = await self._show(cursor)
                if cursor is None or any(shared.records.values()):
                    await self.socket.tell(
                        dialect.initial_data_load(str(self.tenant_id), shared.records)
                    )
                for frame in shared.deletes:
                    await self.socket.tell(frame)
                self._told |= shared.states
                cursor, more = shared.cursor, shared.more
                if not more:
                    self.cursor = self.confirmed = cursor
            seen |= shared.keys

    async def _tell_news(self) -> None:
        """Send what changes, as long as the socket lives."""
        while True:
            try:
                # Not wait_for: in Python 3.11 it swallows a cancellation that comes with the news.
                async with asyncio.timeout(NOTE_EVERY_S):
                    await self._news.wait()
            except TimeoutError:
                await self._quietly(self._note_place)
                continue
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            await self._quietly(self._catch_up)

    async def _quietly(self, work: Callable[[], Any]) -> None:
        try:
            await work()
        except SyncError as error:
            self.end_soon(error)
        except Exception:
            log.exception("telling an app what changed failed")
            self.end_soon(Restarting())

    async def _catch_up(self) -> None:
        more = True
        while more:
            async with self._telling:
                try:
                    shared = await self._show(self.cursor)
                except CursorLost:
                    break
                for key, frame in shared.updates:
                    # The answer to an entry of its own has told it already.
                    if self._told.get(key) != shared.states[key]:
                        await self.socket.tell(frame)
                self._told |= shared.states
                self.cursor = self.confirmed = shared.cursor
                more = shared.more
        else:
            if time.monotonic() - self._noted_at > NOTE_EVERY_S:
                await self._note_place()
            return
        await self._load()  # the database was restored, or we were away for too long

    async def _show(self, cursor: Cursor | None) -> household.Shared:
        return await self._at_desk(household.show_page, cursor, messages.BATCH_MAX_ROWS)

    async def _note_place(self) -> None:
        """Write down how far this app was shown everything."""
        cursor = self.confirmed.to_text() if self.confirmed is not None else None
        clock_ms = now_ms() + self._clock_offset_ms if self._clock_offset_ms else 0
        await self._note(messages.Ping(cursor=cursor, clock_ms=clock_ms), is_urgent=True)

    # --- calls

    async def _at_desk(self, function: Callable[..., Any], *args: Any) -> Any:
        """One transaction in the household, tried until the database can do it.

        Raises what is not a matter of trying again.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await run_in_tenant(
                    self.tenant_id, _at_desk, self, function, args, now_ms(), write=True
                )
            except Restarting:  # the household does not know this device (any more)
                if not self.is_greeted or self.socket.is_ended:
                    raise
                again = await run_in_tenant(
                    self.tenant_id, _at_desk, self, household.arrive, (self._hello(),),
                    now_ms(), write=True,
                )  # fmt: skip
                if again.is_revoked:
                    raise
            except SyncError as error:
                if not error.retryable or self.socket.is_ended:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    # --- what the room asks and does

    @property
    def may_get_rows(self) -> bool:
        return False  # it reads for itself, what it is shown has to be noted

    def give_news(self, head: int) -> None:
        if self.is_greeted:
            self._news.set()

    def ask_to_sync(self, request: messages.SyncRequest) -> bool:
        """The app cannot be asked; but it can be shown everything again."""
        if self.is_greeted:
            self.spawn(self._quietly(lambda: self._sync(request)))
        return self.is_greeted

    async def _sync(self, request: messages.SyncRequest) -> None:
        received = await self._load()
        report = messages.Report(id=request.id, received=received)
        await run_in_tenant(self.tenant_id, take_report, self.tenant_id, self.device_id, report)

    def look_again(self) -> None:
        """Rights have changed, or a beat has passed."""
        self.spawn(self.look())

    async def _end(self, error: SyncError, status: messages.Status | None, of: str) -> None:
        if isinstance(error, Restarting) and self.is_greeted:
            # With this the app's queue stops, and nothing that it has sent is cut off.
            await self.socket.tell(dialect.status("offline", error.message))
            await self.socket.until_quiet(QUIET_S, END_PATIENCE_S - 2)
        await super()._end(error, None, of)

    async def end_unless_greeted(self) -> None:
        """The time to wait for a household is over."""
        if not self.is_greeted:
            await self.socket.fail(NotYours())

    def leave_room(self) -> None:
        fanout.hub().stop_waiting(self)
        super().leave_room()


def _at_desk(
    connection: Any,
    conversation: AppConversation,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    at_ms: int,
) -> Any:
    schema = schema_name(conversation.tenant_id)
    desk = household.Desk(
        PostgresRepository(connection, schema),
        PostgresShown(connection, schema),
        kinds(),
        str(conversation.tenant_id),
        conversation.user_id,
        conversation.identity,
    )
    return function(desk, *args, at_ms)
