"""The tables of a device's store, and how an older store becomes a current one."""

from __future__ import annotations

import sqlite3

from ..errors import StoreTooNew

# One entry for each version, applied in order inside one transaction. Never change an
# entry that was released: a phone may come back after a year.
MIGRATIONS: tuple[str, ...] = (
    """
    -- 'device': the identity, the clock, the cursor (notes.Meta); 'entities': what the
    -- server told about them. JSON.
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    -- Each row as the server last decided it. stamp: of each field that stamps (JSON, or
    -- '') does not name. is_kept: the server has it no more, but an edit of it is pending.
    CREATE TABLE base (
        entity TEXT NOT NULL, id TEXT NOT NULL,
        fields TEXT NOT NULL, stamp TEXT NOT NULL, stamps TEXT NOT NULL,
        is_kept INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (entity, id)
    );
    CREATE INDEX base_kept ON base (is_kept) WHERE is_kept;

    -- The pages of a walk that is not complete.
    CREATE TABLE staging (
        entity TEXT NOT NULL, id TEXT NOT NULL,
        fields TEXT NOT NULL, stamp TEXT NOT NULL, stamps TEXT NOT NULL,
        PRIMARY KEY (entity, id)
    );

    -- Whole rows that a restored server lacks, to be sent as `rows`. version: rises with
    -- every write, so that an ack settles only what it answers. is_parked: refused so far.
    CREATE TABLE heal (
        version INTEGER PRIMARY KEY AUTOINCREMENT,
        entity TEXT NOT NULL, id TEXT NOT NULL,
        fields TEXT NOT NULL, stamp TEXT NOT NULL, stamps TEXT NOT NULL,
        is_parked INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        UNIQUE (entity, id, is_parked)
    );

    -- The queue of this device's own changes (core.outbox.Entry).
    CREATE TABLE outbox (
        local INTEGER PRIMARY KEY AUTOINCREMENT,
        entity TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, stamp TEXT NOT NULL,
        fields TEXT NOT NULL, seen TEXT NOT NULL, made_ms INTEGER NOT NULL,
        number INTEGER UNIQUE, was_sent INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL DEFAULT 'open',
        code TEXT NOT NULL DEFAULT '', field TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX outbox_row ON outbox (entity, id);
    CREATE INDEX outbox_state ON outbox (state, local);

    -- Conflicts that the person does not want to see any more.
    CREATE TABLE dismissed (id TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
    """
    -- The head at which the server has taken a row of the heal list; null: it is to be sent.
    ALTER TABLE heal ADD COLUMN healed_at INTEGER;
    -- An ack has brought this row back from its tombstone: the newest head that such an ack
    -- named; 0: a page has told the row since.
    ALTER TABLE base ADD COLUMN revived_at INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX base_revived ON base (revived_at) WHERE revived_at > 0;
    """,
)
VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to the current version; several programs may try at once.

    Raises StoreTooNew if a newer program has written it.
    """
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # another program may have been faster
        if version > VERSION:
            raise StoreTooNew(
                "A newer version of this program has written this store. Update the program;"
                " everything in the store is safe."
            )
        for script in MIGRATIONS[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    """Not executescript: it commits what is open before it begins."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
