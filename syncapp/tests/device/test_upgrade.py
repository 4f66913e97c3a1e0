"""A store that an older version of the program has written is converted; nothing in it is lost."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from syncapp.core.errors import Restarting
from syncapp.core.messages import Push, Rows
from syncapp.device.store import Store, schema

from .harness import Phone, Server, rows_of, sync
from .test_crashes import Breaking, Crash
from .test_review import NEWER, STRICT

# As it was released, down to the order of the columns: a phone that comes back has this.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE base (
    entity TEXT NOT NULL, id TEXT NOT NULL, fields TEXT NOT NULL, stamp TEXT NOT NULL,
    stamps TEXT NOT NULL, is_kept INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (entity, id)
);
CREATE INDEX base_kept ON base (is_kept) WHERE is_kept;
CREATE TABLE staging (
    entity TEXT NOT NULL, id TEXT NOT NULL, fields TEXT NOT NULL, stamp TEXT NOT NULL,
    stamps TEXT NOT NULL, PRIMARY KEY (entity, id)
);
CREATE TABLE heal (
    version INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT NOT NULL, id TEXT NOT NULL,
    fields TEXT NOT NULL, stamp TEXT NOT NULL, stamps TEXT NOT NULL,
    is_parked INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '', UNIQUE (entity, id, is_parked)
);
CREATE TABLE outbox (
    local INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT NOT NULL, id TEXT NOT NULL,
    kind TEXT NOT NULL, stamp TEXT NOT NULL, fields TEXT NOT NULL, seen TEXT NOT NULL,
    made_ms INTEGER NOT NULL, number INTEGER UNIQUE, was_sent INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'open', code TEXT NOT NULL DEFAULT '',
    field TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_row ON outbox (entity, id);
CREATE INDEX outbox_state ON outbox (state, local);
CREATE TABLE dismissed (id TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
NOTED_LATER = ("anchor", "cursor_before")  # what no note of version 1 has


def columns_of(db: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    """Their names and types, in order."""
    return [(name, kind) for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})")]


def tables_of(db: sqlite3.Connection) -> list[str]:
    found = db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return sorted(name for (name,) in found)


def with_the_older_program(path: Path) -> Path:
    """The same content, in a file as version 1 has written it."""
    old_path = path.with_suffix(".version-1")
    new, old = sqlite3.connect(path), sqlite3.connect(old_path)
    old.executescript(VERSION_1)
    for table in tables_of(old):
        names = ", ".join(name for name, _ in columns_of(old, table))
        rows = new.execute(f"SELECT {names} FROM {table}").fetchall()
        marks = ", ".join("?" * len(columns_of(old, table)))
        old.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    meta = json.loads(old.execute("SELECT value FROM meta WHERE key = 'device'").fetchone()[0])
    noted = json.dumps({key: value for key, value in meta.items() if key not in NOTED_LATER})
    old.execute("UPDATE meta SET value = ? WHERE key = 'device'", (noted,))
    old.commit()
    for each in (new, old):
        each.close()
    return old_path


def queue_of(path: Path) -> list[tuple]:
    db = sqlite3.connect(path)
    found = db.execute("SELECT * FROM outbox ORDER BY local").fetchall()
    db.close()
    return found


def reopened(phone: Phone, path: Path) -> Phone:
    """The same device, with the newer program."""
    phone.store.close()
    phone.path = str(path)
    phone.store = Store(path)
    phone._begin()
    return phone


def lose_the_next(frame_type: type, server: Server, phone: Phone) -> None:
    """The server ends before it has taken such a frame, and is back at once."""

    def gate(frame: object) -> None:
        if isinstance(frame, frame_type):
            server.gate = lambda _: None
            phone.cut(quietly=True)
            raise Restarting()

    server.gate = gate
    sync(server, phone)


@pytest.fixture
def with_a_queue(server: Server, tmp_path: Path) -> Phone:
    """A phone whose queue has something in every state: sent, refused, parked, never sent."""
    server.home.entities = server.entities = STRICT
    a = Phone(server, str(tmp_path / "a.sqlite"), entities=NEWER)
    group = a.replica.create("account_group", {"name": "Giro", "colour": "rot"})
    a.replica.create("account_group", {"name": "verboten"})
    gone = a.replica.create("account", {"name": "Altes Konto"})
    sync(server, a)
    a.replica.edit("account_group", group, {"name": "Bank"})
    lose_the_next(Push, server, a)
    a.replica.create("account", {"name": "Im Zug", "accountGroupId": group, "balance": "12.50"})
    a.replica.edit("account_group", group, {"sortOrder": 3})
    a.replica.delete("account", gone)
    states = sqlite3.connect(a.path).execute("SELECT DISTINCT state, was_sent FROM outbox")
    assert {*states} >= {("open", 0), ("open", 1), ("parked", 1), ("refused", 1)}
    return a


def test_the_first_step_makes_what_was_released():
    """A11: whoever changes it leaves phones behind that have another version 1."""
    made, released = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    for statement in schema._statements(schema.MIGRATIONS[0]):
        made.execute(statement)
    released.executescript(VERSION_1)
    assert tables_of(made) == tables_of(released)
    assert schema.VERSION == 2, "a store of version 2 with a queue belongs into these tests"
    for table in tables_of(released):
        assert columns_of(made, table) == columns_of(released, table)


def test_the_queue_of_an_older_store_is_kept_whole_and_sent(server, with_a_queue):
    """A11."""
    a = with_a_queue
    old = with_the_older_program(Path(a.path))
    before, seen = queue_of(old), a.look()
    reopened(a, old)
    assert sqlite3.connect(old).execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert queue_of(old) == before, "no entry is another one, and none is missing"
    assert a.look() == seen
    sync(server, a)
    names = {row.fields.get("name") for row in server.home.all_rows().values()}
    assert {"Bank", "Im Zug"} <= names
    assert [each.code for each in a.replica.refused()] == ["invalid"]
    assert [set(each.fields) for each in a.replica.parked()] == [{"colour"}]
    server.home.entities = server.entities = NEWER
    server.restart()
    sync(server, a)
    assert a.replica.parked() == [] and a.replica.pending == 0
    assert a.look() == rows_of(server.home)


def test_an_older_store_goes_on_healing_a_restored_server(server, phone, tmp_path):
    """A11, R01: its heal list is the only place where these rows are."""
    a = phone(tmp_path / "a.sqlite")
    sync(server, a)
    backup = server.home.dump()
    for n in range(5):
        a.replica.create("account_group", {"name": f"Gruppe {n}"})
    sync(server, a)
    expected = rows_of(server.home)
    a.cut()
    server.home.restore(backup)
    lose_the_next(Rows, server, a)
    assert len(a.store.heal_rows()) == 5 and rows_of(server.home) == {}
    reopened(a, with_the_older_program(Path(a.path)))
    assert len(a.store.heal_rows()) == 5
    sync(server, a)
    assert rows_of(server.home) == expected == a.look() and a.is_green


def test_a_conversion_that_is_interrupted_at_any_step_leaves_the_old_store(with_a_queue):
    """A11: the next start begins anew."""
    old = with_the_older_program(Path(with_a_queue.path))
    before, at = queue_of(old), 0
    while True:
        at += 1
        db = sqlite3.connect(old, isolation_level=None)
        try:
            schema.migrate(Breaking(db, at))
            break
        except Crash:
            assert queue_of(old) == before
            assert db.execute("PRAGMA user_version").fetchone() == (1,)
        finally:
            db.close()
    assert at > 5 and queue_of(old) == before
    Store(old).close()
