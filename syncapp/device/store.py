"""What a device keeps: one SQLite file that survives a crash at any step.

Knows tables, decides nothing. Several programs may use one store (an importer beside a
running `watch`), so nothing is cached here: what must hold together is read and written
inside one `transaction()`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from syncapp.core.change import Row, pack_stamps, unpack_stamps
from syncapp.core.merge import merge
from syncapp.core.messages import WireRow, wire_to_row
from syncapp.core.outbox import Entry, State

from . import schema
from .errors import StoreBusy, StoreDamaged, StoreError, StoreFull

Key = tuple[str, str]  # entity, row id
BUSY_TIMEOUT_MS = 10_000

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_decode_stamps = msgspec.json.Decoder(dict[str, str]).decode


class Meta(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Who this device is and how far it has come.

    household_name: until a server has acknowledged a household that was born here.
    import_space: names of imported rows are made from it; outlives a move of the household.
    clock: the newest stamp given or heard. offset_ms: server's clock minus this one's;
    offset_samples: what it is the median of, newest last.
    cursor, read_seq: how far the server has been read; with is_walking, what was read last
    lies in the staging. reset: a reset that is not complete. is_heal_open: the server waits
    for the end of the heal list. role, version, url: as last told.
    """

    household: str
    household_name: str | None = None
    import_space: str
    device: str
    node: str
    former_nodes: list[str] = []
    name: str = ""
    app: str = ""
    clock: str = ""
    offset_ms: int = 0
    offset_samples: list[int] = []
    next_number: int = 1
    cursor: str | None = None
    read_seq: int = 0
    is_walking: bool = False
    reset: str | None = None
    is_heal_open: bool = False
    role: str = "owner"
    version: str = ""
    url: str = ""


_decode_meta = msgspec.json.Decoder(Meta).decode


class HealRow(msgspec.Struct):
    """A row of the heal list, packed. version: of this state of it."""

    version: int
    wire: WireRow
    code: str = ""
    message: str = ""


class Store:
    """Opens (and makes, or upgrades) the store at `path`; ":memory:" keeps it in memory.

    Raises StoreError.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._depth = 0
        is_file = self.path != ":memory:"
        with self._told():
            self._db = sqlite3.connect(
                self.path,
                timeout=BUSY_TIMEOUT_MS / 1000,
                isolation_level=None,  # transactions are begun and ended here, by name
                check_same_thread=False,  # used by one thread at a time
                cached_statements=256,
            )
            try:
                if is_file:
                    self._db.execute("PRAGMA journal_mode = WAL")
                    # An edit that was shown as saved survives a power cut.
                    self._db.execute("PRAGMA synchronous = FULL")
                schema.migrate(self._db)
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- transactions ------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable at the end. An inner one is part of the outer one."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors in words that say what is safe and what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise _in_words(error, self.path) from error

    def run(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, parameters)
        except sqlite3.Error as error:
            raise _in_words(error, self.path) from error

    def run_many(self, statement: str, parameters: Iterable[tuple[Any, ...]]) -> None:
        try:
            self._db.executemany(statement, parameters)
        except sqlite3.Error as error:
            raise _in_words(error, self.path) from error

    @property
    def writes_of_others(self) -> int:
        """A number that changes when another program has written to the store."""
        return int(self.run("PRAGMA data_version").fetchone()[0])

    # --- meta --------------------------------------------------------------------------

    def meta(self) -> Meta | None:
        """None in a store that nobody has used yet."""
        found = self.run("SELECT value FROM meta WHERE key = 'device'").fetchone()
        return None if found is None else _decode_meta(found[0])

    def put_meta(self, meta: Meta) -> None:
        self.put_note("device", meta)

    def note(self, key: str) -> Any:
        """Any JSON value that is kept beside the meta; None if there is none."""
        found = self.run("SELECT value FROM meta WHERE key = ?", key).fetchone()
        return None if found is None else msgspec.json.decode(found[0])

    def put_note(self, key: str, value: Any) -> None:
        self.run("REPLACE INTO meta (key, value) VALUES (?, ?)", key, _encode(value).decode())

    # --- base --------------------------------------------------------------------------

    def base_row(self, key: Key) -> Row | None:
        """The row as the server last decided it."""
        found = self.run(
            "SELECT fields, stamp, stamps FROM base WHERE entity = ? AND id = ? AND NOT is_kept",
            *key,
        ).fetchone()
        return None if found is None else _row(*key, *found)

    def base_or_kept_row(self, key: Key) -> Row | None:
        """Also a row that the server has no more, as long as an edit of it is undecided."""
        found = self.run(
            "SELECT fields, stamp, stamps FROM base WHERE entity = ? AND id = ?", *key
        ).fetchone()
        return None if found is None else _row(*key, *found)

    def shows(self, key: Key) -> bool:
        """Whether the base row is to be seen: not what is kept for a refused edit only."""
        return not self.run(
            "SELECT 1 FROM base WHERE entity = ? AND id = ? AND is_kept AND NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.entity = base.entity AND o.id = base.id"
            " AND o.state <> 'refused')",
            *key,
        ).fetchone()

    def base_rows(self, entity: str) -> list[Row]:
        """Those that are to be seen."""
        found = self.run(
            "SELECT entity, id, fields, stamp, stamps FROM base WHERE entity = ?"
            " AND (NOT is_kept OR EXISTS (SELECT 1 FROM outbox o WHERE o.entity = base.entity"
            " AND o.id = base.id AND o.state <> 'refused'))",
            entity,
        )
        return [_row(*each) for each in found]

    def put_base(self, rows: Iterable[Row | WireRow]) -> None:
        self.run_many(
            "REPLACE INTO base (entity, id, fields, stamp, stamps) VALUES (?, ?, ?, ?, ?)",
            map(_packed, rows),
        )

    def keep(self, row: Row) -> None:
        """Put a row that the server may not have, for the sake of the entries of it."""
        self.run(
            "REPLACE INTO base (entity, id, fields, stamp, stamps, is_kept)"
            " VALUES (?, ?, ?, ?, ?, 1)",
            *_packed(row),
        )

    def delete_base(self, keys: Iterable[Key]) -> None:
        self.run_many("DELETE FROM base WHERE entity = ? AND id = ?", keys)

    def release_kept(self) -> None:
        """Drop rows that the server has no more and that no entry speaks of any more."""
        self.run(
            "DELETE FROM base WHERE is_kept AND NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.entity = base.entity AND o.id = base.id)"
        )

    # --- staging -----------------------------------------------------------------------

    def stage(self, rows: Iterable[WireRow]) -> None:
        """A row that comes twice in a walk is newer the second time."""
        self.run_many(
            "REPLACE INTO staging (entity, id, fields, stamp, stamps) VALUES (?, ?, ?, ?, ?)",
            map(_packed, rows),
        )

    def staged(self) -> list[WireRow]:
        found = self.run("SELECT entity, id, fields, stamp, stamps FROM staging")
        return [_wire(*each) for each in found]

    def staged_keys(self) -> list[Key]:
        return self.run("SELECT entity, id FROM staging").fetchall()

    def take_new_from_staging(self) -> list[WireRow]:
        """Move staged rows without a base row into the base; returns the others.

        Most of a first load goes this way, and never leaves SQLite.
        """
        self.run(
            "INSERT OR IGNORE INTO base (entity, id, fields, stamp, stamps)"
            " SELECT entity, id, fields, stamp, stamps FROM staging s WHERE NOT EXISTS"
            " (SELECT 1 FROM base b WHERE b.entity = s.entity AND b.id = s.id)"
        )
        found = self.run(
            "SELECT s.entity, s.id, s.fields, s.stamp, s.stamps FROM staging s"
            " JOIN base b ON b.entity = s.entity AND b.id = s.id"
            " WHERE (s.fields, s.stamp, s.stamps) IS NOT (b.fields, b.stamp, b.stamps)"
            " OR b.is_kept"
        )
        return [_wire(*each) for each in found]

    def differing_from_staging(self) -> list[tuple[Row, Row | None]]:
        """Base rows that the staged snapshot lacks or holds otherwise, with its version."""
        found = self.run(
            "SELECT b.entity, b.id, b.fields, b.stamp, b.stamps, s.fields, s.stamp, s.stamps"
            " FROM base b LEFT JOIN staging s ON b.entity = s.entity AND b.id = s.id"
            " WHERE NOT b.is_kept AND (s.id IS NULL"
            " OR (s.fields, s.stamp, s.stamps) IS NOT (b.fields, b.stamp, b.stamps))"
        )
        return [
            (
                _row(*each[:5]),
                None if each[5] is None else _row(each[0], each[1], *each[5:]),
            )
            for each in found
        ]

    def replace_base_by_staging(self) -> None:
        """The snapshot is the base now. Rows with entries of ours that it lacks are kept."""
        self.run(
            "DELETE FROM base WHERE NOT EXISTS"
            " (SELECT 1 FROM outbox o WHERE o.entity = base.entity AND o.id = base.id)"
        )
        self.run("UPDATE base SET is_kept = 1")
        self.run(
            "REPLACE INTO base (entity, id, fields, stamp, stamps)"
            " SELECT entity, id, fields, stamp, stamps FROM staging"
        )

    def empty_staging(self) -> None:
        self.run("DELETE FROM staging")

    # --- heal list ---------------------------------------------------------------------

    def heal_row(self, key: Key) -> Row | None:
        found = self.run(
            "SELECT fields, stamp, stamps FROM heal WHERE entity = ? AND id = ? AND NOT is_parked",
            *key,
        ).fetchone()
        return None if found is None else _row(*key, *found)

    def heal_rows_of(self, entity: str) -> list[Row]:
        found = self.run(
            "SELECT entity, id, fields, stamp, stamps FROM heal WHERE entity = ? AND NOT is_parked",
            entity,
        )
        return [_row(*each) for each in found]

    def heal_rows(self, *, is_parked: bool = False, limit: int = -1) -> list[HealRow]:
        found = self.run(
            "SELECT version, code, message, entity, id, fields, stamp, stamps FROM heal"
            " WHERE is_parked = ? ORDER BY version LIMIT ?",
            is_parked,
            limit,
        )
        return [
            HealRow(version, _wire(*packed), code, message)
            for version, code, message, *packed in found
        ]

    def has_heal_rows(self) -> bool:
        return bool(
            self.run("SELECT EXISTS (SELECT 1 FROM heal WHERE NOT is_parked)").fetchone()[0]
        )

    def count_parked_rows(self) -> int:
        return int(self.run("SELECT count(*) FROM heal WHERE is_parked").fetchone()[0])

    def put_heal(self, rows: Iterable[Row]) -> None:
        self.run_many(
            "REPLACE INTO heal (entity, id, fields, stamp, stamps) VALUES (?, ?, ?, ?, ?)",
            map(_packed, rows),
        )

    def park_heal(self, row: Row, code: str, message: str) -> None:
        self.run(
            "REPLACE INTO heal (entity, id, fields, stamp, stamps, is_parked, code, message)"
            " VALUES (?, ?, ?, ?, ?, 1, ?, ?)",
            *_packed(row),
            code,
            message,
        )

    def delete_heal(self, versions: Iterable[int]) -> None:
        self.run_many("DELETE FROM heal WHERE version = ?", [(each,) for each in versions])

    def empty_heal(self) -> None:
        self.run("DELETE FROM heal")

    # --- outbox ------------------------------------------------------------------------

    def _entries(self, statement: str, *parameters: Any) -> list[Entry]:
        return [_entry(*each) for each in self.run(statement, *parameters)]

    def entry(self, local: int) -> Entry | None:
        return next(iter(self._entries("SELECT * FROM outbox WHERE local = ?", local)), None)

    def entries_of(self, key: Key) -> list[Entry]:
        """Those of a row that lie over its base: open, parked or being healed; in order."""
        return self._entries(
            "SELECT * FROM outbox WHERE entity = ? AND id = ? AND state <> 'refused'"
            " ORDER BY local",
            *key,
        )

    def entries_over(self, entity: str) -> list[Entry]:
        """`entries_of` every row of an entity."""
        return self._entries(
            "SELECT * FROM outbox WHERE entity = ? AND state <> 'refused' ORDER BY local", entity
        )

    def entries_in(self, state: State) -> list[Entry]:
        return self._entries("SELECT * FROM outbox WHERE state = ? ORDER BY local", state)

    def entries_to_send(self, limit: int) -> list[Entry]:
        """Open entries: first those that have a number, in its order, then as queued."""
        return self._entries(
            "SELECT * FROM outbox WHERE state = 'open'"
            " ORDER BY number IS NULL, number, local LIMIT ?",
            limit,
        )

    def entries_never_sent(self, after_stamp: str) -> list[Entry]:
        """Those that carry a later stamp than this, in queue order."""
        return self._entries(
            "SELECT * FROM outbox WHERE stamp > ? AND number IS NULL AND NOT was_sent"
            " AND state = 'open' ORDER BY local",
            after_stamp,
        )

    def entries_numbered(self, numbers: Iterable[int]) -> dict[int, Entry]:
        found = self._entries(
            "SELECT * FROM outbox WHERE number IN (SELECT value FROM json_each(?))",
            _encode(list(numbers)).decode(),
        )
        return {each.number: each for each in found if each.number is not None}

    def add_entry(self, entry: Entry) -> int:
        """Queue an entry; returns its place (`local`)."""
        added = self.run(
            "INSERT INTO outbox VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *_entry_values(entry),
        )
        return int(added.lastrowid or 0)

    def put_entry(self, entry: Entry) -> None:
        self.run(
            "REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            entry.local,
            *_entry_values(entry),
        )

    def delete_entries(self, locals_: Iterable[int]) -> None:
        self.run_many("DELETE FROM outbox WHERE local = ?", [(each,) for each in locals_])

    def put_numbers(self, numbers: Mapping[int, int]) -> None:
        """numbers: by local."""
        self.run_many(
            "UPDATE outbox SET number = ?, was_sent = 1 WHERE local = ?",
            [(number, local) for local, number in numbers.items()],
        )

    def put_stamps(self, stamps: Mapping[int, str]) -> None:
        """stamps: by local."""
        self.run_many(
            "UPDATE outbox SET stamp = ? WHERE local = ?",
            [(stamp, local) for local, stamp in stamps.items()],
        )

    def has_changes(self) -> bool:
        return bool(
            self.run("SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'open')").fetchone()[0]
        )

    def counts(self) -> dict[str, int]:
        """How many entries there are in each state."""
        return dict(self.run("SELECT state, count(*) FROM outbox GROUP BY state").fetchall())

    def lose_numbers(self) -> None:
        """Under a new identity they are to be given again, from 1."""
        self.run("UPDATE outbox SET number = NULL")

    def open_parked(self) -> None:
        """The server has learned something: parked entries and rows are sent again."""
        self.run(
            "UPDATE outbox SET state = 'open', code = '', field = '', message = ''"
            " WHERE state = 'parked'"
        )
        parked = self.heal_rows(is_parked=True)
        for each in parked:
            key = each.wire.entity, each.wire.id
            self.put_heal([merge(self.heal_row(key), wire_to_row(each.wire))])
        self.delete_heal([each.version for each in parked])

    def reopen_healing(self) -> None:
        """Edits that were on their way as whole rows are to be sent as changes again."""
        self.run("UPDATE outbox SET state = 'open' WHERE state = 'healing'")

    def nodes_in_use(self) -> set[str]:
        """The nodes in the stamps of what is still to be sent."""
        return {each[0] for each in self.run("SELECT DISTINCT substr(stamp, 19) FROM outbox")}

    def oldest_made_ms(self) -> int | None:
        found = self.run("SELECT min(made_ms) FROM outbox WHERE state IN ('open', 'healing')")
        return found.fetchone()[0]

    def least_open_number(self) -> int | None:
        return self.run("SELECT min(number) FROM outbox").fetchone()[0]

    # --- conflicts that nobody wants to see any more -------------------------------------

    def dismiss(self, conflict_id: str) -> None:
        self.run("INSERT OR IGNORE INTO dismissed (id) VALUES (?)", conflict_id)

    def forget_dismissed(self) -> None:
        """Of conflicts that are gone."""
        self.run(
            "DELETE FROM dismissed WHERE id NOT IN (SELECT id FROM base WHERE entity = 'conflict')"
        )

    def dismissed(self) -> set[str]:
        return {each[0] for each in self.run("SELECT id FROM dismissed")}


# --- between records and columns -----------------------------------------------------------


def _entry(
    local: int, entity: str, row_id: str, kind: Any, stamp: str, fields: str, seen: str,
    made_ms: int, number: int | None, was_sent: int, *why: Any,
) -> Entry:  # fmt: skip
    return Entry(
        local, entity, row_id, kind, stamp, _decode_fields(fields), _decode_stamps(seen), made_ms,
        number, bool(was_sent), *why,
    )  # fmt: skip


def _entry_values(entry: Entry) -> tuple[Any, ...]:
    """The columns of the outbox behind `local`, in their order."""
    return (
        entry.entity, entry.row_id, entry.kind, entry.stamp, _encode(entry.fields).decode(),
        _encode(entry.seen).decode(), entry.made_ms, entry.number, entry.was_sent, entry.state,
        entry.code, entry.field, entry.message,
    )  # fmt: skip


def _packed(row: Row | WireRow) -> tuple[str, str, str, str, str]:
    if isinstance(row, WireRow):
        common, exceptions = row.stamp, row.stamps
    else:
        common, exceptions = pack_stamps(row.stamps)
    stamps = _encode(exceptions).decode() if exceptions else ""
    return row.entity, row.id, _encode(row.fields).decode(), common, stamps


def _wire(entity: str, row_id: str, fields: str, stamp: str, stamps: str) -> WireRow:
    return WireRow(
        entity, row_id, _decode_fields(fields), stamp, _decode_stamps(stamps) if stamps else {}
    )


def _row(entity: str, row_id: str, fields: str, stamp: str, stamps: str) -> Row:
    values = _decode_fields(fields)
    exceptions = _decode_stamps(stamps) if stamps else {}
    return Row(entity, row_id, values, unpack_stamps(values, stamp, exceptions))


def _in_words(error: sqlite3.Error, path: str) -> StoreError:
    text = str(error).lower()
    if "full" in text:
        return StoreFull(
            f"The disk that holds {path} is full: this was not saved. Everything saved before is"
            " safe. Free some space and try again."
        )
    if "locked" in text or "busy" in text:
        return StoreBusy(f"Another program is writing to {path}. Nothing was changed; try again.")
    if "malformed" in text or "not a database" in text:
        return StoreDamaged(
            f"{path} cannot be read as a store ({error}). Keep a copy of it, and start with a new"
            " store: what the server has acknowledged comes back by itself."
        )
    if "unable to open" in text or "readonly" in text:
        return StoreError(
            f"{path} cannot be opened for writing ({error}). Check that its folder exists and may"
            " be written to."
        )
    return StoreError(f"{path}: {error}. Nothing was changed.")
