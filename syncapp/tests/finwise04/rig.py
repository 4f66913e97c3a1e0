"""Apps and phones of one household in one thread: real engine, real translator, no sockets.

Frames lie in a queue for each direction until they are moved; a cut loses them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from syncapp.core.cursor import Cursor
from syncapp.core.messages import Hello
from syncapp.dialects import finwise04 as dialect
from syncapp.dialects.finwise04 import Kind
from syncapp.dialects.shown import Shown
from syncapp.engine import CursorLost
from syncapp.finwise04 import household
from syncapp.tests.device.harness import ANNA, HOME, Server
from syncapp.tests.finwise04.app import AppStore, Frame

KINDS = {
    "account_group": Kind("account_group", "AccountGroup", "account_groups"),
    "account": Kind(
        "account",
        "Account",
        "accounts",
        codes={
            "accountType": {
                "giro": "CHECKING",
                "spar": "SAVINGS",
                "kreditkarte": "CREDIT",
                "bar": "CASH",
            }
        },
    ),
}


class MemoryShown:
    """`household.ShownStore` in memory; keeps what PostgreSQL would, as plain JSON."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, household.Key], bytes] = {}

    def of(self, device_id: str, keys: Collection[household.Key]) -> dict[household.Key, Shown]:
        found = {}
        for key in keys:
            if (device_id, key) in self.kept:
                plain = json.loads(self.kept[device_id, key])
                found[key] = Shown.from_plain(*key, *plain)
        return found

    def keys(self, device_id: str) -> set[household.Key]:
        return {key for device, key in self.kept if device == device_id}

    def write(self, device_id: str, shown: Iterable[Shown]) -> None:
        for each in shown:
            plain = [each.told_ms, each.last_stamp, each.last_entry_ms, each.to_plain()]
            self.kept[device_id, (each.entity, each.id)] = msgspec.json.encode(plain)


class AppLink:
    """One app, its socket, and what the server knows of it."""

    def __init__(
        self,
        server: Server,
        store: MemoryShown,
        browser: str,
        *,
        user: str = ANNA,
        clock_off_ms: int = 0,
    ) -> None:
        self.server, self.store, self.user = server, store, user
        self.clock_off_ms = clock_off_ms
        self.identity = dialect.identity_of(user, HOME, browser)
        self.app = AppStore(HOME, lambda: server.time.ms + self.clock_off_ms, server.new_id)
        self.up: deque[str] = deque()
        self.down: deque[str] = deque()
        self.is_connected = False
        self.cursor: Cursor | None = None
        self.told: dict[household.Key, int] = {}
        self.sent: list[Frame] = []  # everything that the server ever said

    # --- the connection

    def connect(self) -> None:
        self.up.clear()
        self.down.clear()
        self.told.clear()
        self.is_connected = True
        hello = Hello(
            device=self.identity.device, node=self.identity.node, name="app", app=dialect.APP
        )
        self.cursor = self.call(household.arrive, hello).cursor
        self.say(dialect.status("online"))

    def cut(self) -> None:
        self.is_connected = False
        self.app.status = ""
        self.up.clear()
        self.down.clear()

    def come_online(self) -> None:
        """Connect, ask for everything, send what waits, hear all answers."""
        if not self.is_connected:
            self.connect()
        self.rest()

    def rest(self) -> None:
        """Until nothing moves any more."""
        while True:
            self.poll()
            moved = self.move_up() or self.move_down() or self.tell_news()
            if not moved:
                return

    def poll(self) -> None:
        if self.is_connected:
            self.up.extend(json.dumps(frame) for frame in self.app.poll())

    def move_down(self) -> bool:
        if not self.down:
            return False
        frame = json.loads(self.down.popleft())
        was_online = self.app.status == "online"
        self.app.hear(frame)
        if self.app.status == "online" and not was_online:
            self.up.append(json.dumps(self.app.connected()))
            self.poll()
        return True

    def move_up(self) -> bool:
        if not self.up:
            return False
        self.take(self.up.popleft())
        return True

    # --- the server's side

    def call(self, function: Any, *args: Any) -> Any:
        home = self.server.home
        desk = household.Desk(home, self.store, KINDS, HOME, self.user, self.identity)
        with home.transaction():
            return function(desk, *args, self.server.time.ms)

    def take(self, text: str) -> None:
        match dialect.text_to_said(text):
            case dialect.Entry() as entry:
                answer = self.call(household.take_entry, entry)
                self.told |= answer.states
                for frame in answer.frames:
                    self.say(frame)
            case dialect.InitialDataRequest():
                self.load()
            case dialect.BadEntry() as entry:
                self.say(dialect.sync_nack(entry, entry.detail))

    def load(self) -> None:
        cursor, more, seen = None, True, set()
        while more:
            shared = self.call(household.show_page, cursor, self.server.page_limit)
            self.say(dialect.initial_data_load(self.app.tenant_id, shared.records))
            for frame in shared.deletes:
                self.say(frame)
            self.told |= shared.states
            seen |= shared.keys
            cursor, more = shared.cursor, shared.more
        for frame in self.call(household.show_what_is_forgotten, seen):
            self.say(frame)
        self.cursor = cursor

    def tell_news(self) -> bool:
        """Send one page of what changed; returns whether there was anything."""
        if not self.is_connected or self.cursor is None:
            return False
        if self.cursor.position.seq >= self.server.home.read_head().seq:
            return False
        try:
            shared = self.call(household.show_page, self.cursor, self.server.page_limit)
        except CursorLost:
            self.load()
            return True
        for key, frame in shared.updates:
            if self.told.get(key) != shared.states[key]:
                self.say(frame)
        self.told |= shared.states
        self.cursor = shared.cursor
        return True

    def say(self, frame: Frame) -> None:
        text = msgspec.json.encode(frame).decode()
        self.sent.append(json.loads(text))
        self.down.append(text)


def records_of(server: Server) -> dict[str, dict[str, dict[str, Any]]]:
    """What every app should end as: records by entityType and id, without their times."""
    found: dict[str, dict[str, dict[str, Any]]] = {"Account": {}, "AccountGroup": {}}
    for row in server.home.all_rows().values():
        if row.is_here and row.entity in KINDS:
            kind = KINDS[row.entity]
            record = dialect.row_to_record(kind, server.entities[row.entity], row, 0)
            plain = json.loads(msgspec.json.encode(record))
            plain.pop("updated_at")
            found[kind.name][row.id] = plain
    return found


def without_times(records: dict[str, dict[str, dict[str, Any]]]) -> Any:
    return {
        kind: {
            row_id: {name: value for name, value in record.items() if name != "updated_at"}
            for row_id, record in rows.items()
        }
        for kind, rows in records.items()
    }
