"""A household's server and its phones in one thread: real engine, real replica, no sockets.

Frames lie in a queue for each direction until `pump` moves them; a test cuts a connection,
loses what is under way, or "crashes" a phone by opening its store anew.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

from syncapp import engine, greetings
from syncapp.core.cursor import START, Cursor, Position, end_of, text_to_cursor
from syncapp.core.entity import Entity, describe, version_of
from syncapp.core.errors import NotYours, Restarting, SyncError
from syncapp.core.messages import (
    Changes,
    Error,
    Hello,
    Limits,
    News,
    Ping,
    Pong,
    Pull,
    Push,
    Report,
    Rows,
    SyncRequest,
    Welcome,
    encode,
    row_to_wire,
    text_to_up,
)
from syncapp.core.session import Connect, Disconnect
from syncapp.device.conversation import Conversation, Output
from syncapp.device.replica import Replica
from syncapp.device.store import Store
from syncapp.tests.simulation.household import HOUSEHOLD
from syncapp.tests.simulation.memory import MemoryRepository

NOW = 1_700_000_000_000
ANNA = "aaaaaaaa-0000-4000-8000-000000000001"
BEN = "aaaaaaaa-0000-4000-8000-000000000002"
HOME = "bbbbbbbb-0000-4000-8000-000000000001"

Household = MemoryRepository


class Time:
    """The true time; the server's clock shows it."""

    def __init__(self) -> None:
        self.ms = NOW

    def pass_s(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class Link:
    """One socket: what lies in it in each direction, and what the server knows of it."""

    def __init__(self, server: Server, user: str, household: str, phone: Phone, gen: int) -> None:
        self.server, self.user, self.household = server, user, household
        self.phone, self.generation = phone, gen
        self.up: deque[str] = deque()
        self.down: deque[str | int] = deque()  # an int is a close code
        self.device_id = self.told_reset = ""
        self.cursor: Cursor | None = None
        self.outstanding: Position | None = None
        self.has_pulled = self.is_asked = self.has_news = False
        self.limit = 500

    def tell(self, frame: Any) -> None:
        self.down.append(encode(frame))

    def fail(self, error: SyncError, of: str = "") -> None:
        self.tell(
            Error(
                code=error.code,
                message=error.message,
                of=of,
                retryable=error.retryable,
                retry_after_ms=error.retry_after_ms or 0,
            )
        )
        if error.close_code is not None:
            self.close(error.close_code)

    def close(self, code: int) -> None:
        self.down.append(code)
        self.server.links.discard(self)


class Server:
    def __init__(self, time: Time, entities: dict[str, Entity] = HOUSEHOLD) -> None:
        self.time = time
        self.entities = entities
        self.households: dict[str, MemoryRepository] = {}
        self.links: set[Link] = set()
        self.is_up = True
        self.page_limit = 500
        # Called with each frame before it is handled; raises a SyncError to refuse it.
        self.gate: Callable[[Any], None] = lambda frame: None
        self.heard: list[Any] = []
        self.resets: list[str] = []  # as they were told
        self.reports: list[Report] = []
        self._count = itertools.count(1)

    def add(self, household: str = HOME, owner: str = ANNA) -> MemoryRepository:
        made = MemoryRepository(self.entities, owner, token=self.token)
        self.households[household] = made
        return made

    def token(self, n: int) -> str:
        """Never the same, and the same in every run."""
        return f"{next(self._count):0{2 * n}x}"

    def new_id(self) -> str:
        return f"dddddddd-0000-4000-8000-{next(self._count):012x}"

    @property
    def home(self) -> MemoryRepository:
        return self.households[HOME]

    def take(self, link: Link, text: str) -> None:
        frame = text_to_up(text)
        self.heard.append(frame)
        try:
            self.gate(frame)
            self._handle(link, frame)
        except SyncError as error:
            link.fail(error, type(frame).__struct_config__.tag)

    def _handle(self, link: Link, frame: Any) -> None:
        now_ms = self.time.ms
        if isinstance(frame, Hello):
            self._greet(link, frame, now_ms)
            return
        repository = self.households[link.household]
        if isinstance(frame, Push | Rows):
            function = engine.apply_push if isinstance(frame, Push) else engine.apply_rows
            with repository.transaction():
                outcome = function(repository, link.device_id, link.user, frame, now_ms)
            link.tell(outcome.ack)
        elif isinstance(frame, Pull):
            if link.told_reset:
                with repository.transaction():
                    greetings.note_reset(repository, link.device_id, now_ms, link.told_reset)
                link.told_reset = ""
            link.cursor = text_to_cursor(frame.cursor) if frame.cursor else None
            link.limit, link.is_asked = (
                min(frame.limit, self.page_limit),
                link.is_asked or frame.ask,
            )
            position = link.cursor.position if link.cursor else START
            if link.outstanding is None or frame.ask or position >= link.outstanding:
                link.outstanding, link.has_news, link.has_pulled = None, False, True
        elif isinstance(frame, Ping):
            with repository.transaction():
                head = greetings.note_ping(repository, link.device_id, link.user, frame, now_ms)
            link.tell(Pong(time_ms=now_ms, head=head.seq))
        elif isinstance(frame, Report):
            self.reports.append(frame)

    def _greet(self, link: Link, hello: Hello, now_ms: int) -> None:
        created = False
        if link.household not in self.households:
            if hello.household is None:
                raise NotYours()
            self.add(link.household, link.user)
            created = True
        repository = self.households[link.household]
        with repository.transaction():
            greeting = greetings.greet(repository, hello, link.user, now_ms)
        link.device_id, link.told_reset = hello.device, greeting.reset or ""
        self.resets += [greeting.reset] if greeting.reset else []
        link.tell(
            Welcome(
                time_ms=now_ms,
                head=greeting.head.seq,
                role=greeting.role,
                version=version_of(repository.entities),
                entities=describe(repository.entities),
                limits=Limits(),
                resume=greeting.resume,
                reset=greeting.reset,
                identity="taken" if greeting.is_identity_taken else "kept",
                created=created,
            )
        )
        if greeting.is_identity_taken:
            link.close(1012)

    def deliver(self) -> bool:
        """Give pages and news to whoever is due them. Returns whether anybody was."""
        is_busy = False
        for link in list(self.links):
            repository = self.households.get(link.household)
            if repository is None or not link.device_id:
                continue
            head = repository.read_head().seq
            position = link.cursor.position if link.cursor else START
            is_behind = position < end_of(head)
            if link.has_pulled and link.outstanding is None and (link.is_asked or is_behind):
                is_busy = True
                self._give_page(link, repository)
            elif is_behind and not link.has_news:
                is_busy = link.has_news = True
                link.tell(News(head=head))
        return is_busy

    def _give_page(self, link: Link, repository: MemoryRepository) -> None:
        try:
            page = engine.changes_since(repository, link.cursor, link.user, link.limit)
        except engine.CursorLost:
            link.fail(Restarting())
            return
        except SyncError as error:
            link.fail(error)
            return
        link.is_asked = False
        link.cursor = page.cursor
        if page.rows:
            link.outstanding = page.cursor.position
        link.tell(
            Changes(
                rows=[row_to_wire(row) for row in page.rows],
                start=page.start,
                to=page.to,
                cursor=page.cursor.to_text(),
                more=page.more,
                head=page.head.seq,
            )
        )

    def ask_for_sync(self, request_id: str) -> None:
        for link in self.links:
            link.tell(SyncRequest(id=request_id, by="operator"))

    def restart(self) -> None:
        for link in list(self.links):
            link.close(1012)


class Phone:
    """One device of a person: its store outlives crashes."""

    def __init__(
        self,
        server: Server,
        path: str = ":memory:",
        *,
        user: str = ANNA,
        household: str | None = HOME,
        household_name: str | None = None,
        entities: dict[str, Entity] | None = None,
        clock_off_ms: int = 0,
    ) -> None:
        self.server, self.user, self.path = server, user, path
        self.clock_off_ms = clock_off_ms
        self._options = {
            "household": household,
            "household_name": household_name,
            "entities": HOUSEHOLD if entities is None else entities,
        }
        self.link: Link | None = None
        self.store = Store(path)
        self._begin()

    def _begin(self) -> None:
        self.replica = Replica(
            self.store,
            **self._options,
            wall_ms=lambda: self.server.time.ms + self.clock_off_ms,
            new_id=self.server.new_id,
            token=self.server.token,
        )
        self.talk = Conversation(self.replica, chance=lambda: 0.0)
        self._options["household"] = None

    @property
    def now(self) -> int:
        return self.server.time.ms - NOW

    def crash(self) -> None:
        """Everything that is not durable is gone; the connection, too."""
        self.cut(quietly=True)
        if self.path != ":memory:":
            self.store.close()
            self.store = Store(self.path)
        self._begin()

    def cut(self, quietly: bool = False) -> None:
        """The connection breaks; what was under way is lost."""
        if self.link is None:
            return
        self.server.links.discard(self.link)
        generation, self.link = self.link.generation, None
        if not quietly:
            self.do(self.talk.closed(generation, 1006, "", self.now))

    def do(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Connect):
                if self.server.is_up:
                    household = self.replica.meta.household
                    self.link = Link(self.server, self.user, household, self, output.generation)
                    self.server.links.add(self.link)
                    self.do(self.talk.opened(output.generation, self.now))
                else:
                    self.do(self.talk.closed(output.generation, 1006, "", self.now))
            elif isinstance(output, Disconnect):
                if self.link is not None and self.link.generation == output.generation:
                    self.server.links.discard(self.link)
                    self.link = None
            elif self.link is not None:
                self.link.up.append(output)

    def online(self) -> None:
        self.do(self.talk.asked(self.now))

    def told(self) -> None:
        """After an edit: the conversation hears of it."""
        self.do(self.talk.edited(self.now))

    def hear_one(self) -> bool:
        """Take one frame (or close) out of the socket."""
        link = self.link
        if link is None or not link.down:
            return False
        what = link.down.popleft()
        if isinstance(what, int):
            self.link = None
            self.do(self.talk.closed(link.generation, what, "", self.now))
        else:
            self.do(self.talk.received(link.generation, what, self.now))
        return True

    @property
    def is_green(self) -> bool:
        return self.talk.is_up_to_date(self.now)

    def look(self, *entities: str) -> dict[tuple[str, str], tuple[dict, dict]]:
        """Every row as it is seen: values and stamps, tombstones included."""
        names = entities or ("account", "account_group")
        return {
            (row.entity, row.id): (row.fields, row.stamps)
            for name in names
            for row in self.replica.rows(name, with_deleted=True)
        }


def pump(server: Server, *phones: Phone, steps: int = 100_000) -> None:
    """Move frames until nothing moves any more."""
    for _ in range(steps):
        is_busy = False
        for phone in phones:
            link = phone.link
            if link is not None and link.up:
                server.take(link, link.up.popleft())
                is_busy = True
            if phone.hear_one():
                is_busy = True
            if phone.link is None and phone.talk.session.phase == "offline" and server.is_up:
                at = phone.talk.wake_at()
                if at is not None and at <= phone.now:
                    phone.do(phone.talk.timer(phone.now))
                    is_busy = True
        if server.deliver():
            is_busy = True
        if not is_busy:
            return
    raise AssertionError("the conversation does not come to rest")


def sync(server: Server, *phones: Phone) -> None:
    """All phones online, until all is quiet."""
    for phone in phones:
        if phone.link is None:
            phone.online()
        phone.told()
    pump(server, *phones)


def rows_of(household: MemoryRepository) -> dict[tuple[str, str], tuple[dict, dict]]:
    return {key: (row.fields, row.stamps) for key, row in household.all_rows().items()}
