"""Rows in, rows out: one household's tables on PostgreSQL, inside one transaction.

Speaks psycopg directly, with SQL that names the schema (`sql/`). All writing of a call
happens in `write`, in one pipeline: one round trip. Implements `core/repository.py`.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from .core.change import EVERY_OTHER_FIELD, EXISTS, Row, pack_stamps
from .core.cursor import Position
from .core.entity import Entity
from .core.messages import BATCH_MAX_BYTES, Result, WireRow, row_to_wire
from .core.records import Conflict, Device, Head, Located, NodeOwner, StoredFate
from .registry import CONFLICT, NAME_MAX, SyncedTable, entities, tables, wire_name
from .sql import statements

_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_decode_stamps = msgspec.json.Decoder(dict[str, str]).decode
_decode_result = msgspec.json.Decoder(Result).decode
_device_keys = set(Device.__slots__)


class PostgresRepository:
    """`Repository` over a Django connection that stands inside the household."""

    def __init__(self, connection: Any, schema: str) -> None:
        self._schema = schema
        # Not Django's cursor: its wrapper would cost a check of the search path each time.
        self._connection: psycopg.Connection = connection.connection
        self._cursor = psycopg.Cursor(self._connection)
        self.entities: Mapping[str, Entity] = entities()
        self._head: tuple[Any, ...] | None = None

    def _run(self, name: str, **values: Any) -> psycopg.Cursor:
        return self._cursor.execute(statement(self._schema, name), values or None)

    # --- reading

    def lock_head(self) -> Head:
        return self._head_from(self._run("lock_head"))

    def read_head(self) -> Head:
        return self._head_from(self._run("read_head"))

    def _head_from(self, cursor: psycopg.Cursor) -> Head:
        self._head = cursor.fetchone()
        if self._head is None:
            raise LookupError(f"{self._schema} has no head row")
        return Head(*self._head)

    def fingerprint_of(self, seq: int) -> str | None:
        found = self._run("fingerprint_of", seq=seq).fetchone()
        return found[0] if found else None

    def visitor(self, device_id: str, user_id: str) -> tuple[Device | None, str | None]:
        device, role = self._run("visitor", device=device_id or None, user=user_id).fetchone()
        return (_device(device) if device else None), role

    def members(self, users: Iterable[str]) -> dict[str, str]:
        """Those of these users who may read this household, with their roles."""
        return dict(self._run("members", users=list(users)).fetchall())

    def revoked(self, devices: Iterable[str]) -> set[str]:
        """Those of these devices that are revoked."""
        return {row[0] for row in self._run("revoked", devices=list(devices)).fetchall()}

    def fates(self, device_id: str, keys: Sequence[str]) -> dict[str, StoredFate]:
        if not keys:
            return {}
        found = self._run("fates", device=device_id, keys=list(keys)).fetchall()
        return {
            key: StoredFate(key, number, stamp, digest, _decode_result(result))
            for key, number, stamp, digest, result in found
        }

    def owners_of(self, nodes: Iterable[str]) -> dict[str, NodeOwner]:
        wanted = set(nodes)
        owners: dict[str, NodeOwner] = {}
        if not wanted:
            return owners
        found = self._run("owners_of", nodes=list(wanted)).fetchall()
        for device_id, user_id, name, node, former in found:
            owner = NodeOwner(device_id, user_id, name)
            for each in msgspec.json.decode(former):
                if each in wanted:
                    owners.setdefault(each, owner)
            if node in wanted:
                owners[node] = owner  # the one who has it now, before one who had it
        return owners

    def rows(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Row]:
        ids = defaultdict(list)
        for entity, row_id in wanted:
            ids[entity].append(row_id)
        found = {}
        for entity, row_ids in ids.items():
            statement = _table_statement(self._schema, entity, "rows")
            for row_id, body, stamps in self._cursor.execute(statement, {"ids": row_ids}):
                found[entity, row_id] = _row(entity, row_id, body, stamps)
        return found

    def page(self, after: Position, limit: int) -> tuple[list[Located], bool]:
        """Rows behind `after` in reading order, and whether there are more behind them."""
        values: dict[str, Any] = {"limit": limit, "bytes": BATCH_MAX_BYTES}
        for n, entity in enumerate(_arm_names()):
            is_later = entity > after.entity  # then its rows of this very seq are unread
            values[f"seq_{n}"] = after.seq - 1 if is_later else after.seq
            values[f"id_{n}"] = (after.id if entity == after.entity else "") or _LAST_ID
        found = self._cursor.execute(_page_statement(self._schema), values).fetchall()
        located = [
            Located(seq, self._page_row(entity, row_id, body, stamps))
            for seq, entity, row_id, body, stamps, _ in found
        ]
        return located, bool(found) and len(found) < found[0][5]

    def _page_row(self, entity: str, row_id: str, body: str, stamps: str) -> Row | WireRow:
        return _row(entity, row_id, body, stamps)

    def new_conflicts(self, conflicts: Sequence[Conflict]) -> list[Conflict]:
        ids = [each.id for each in conflicts]
        known = {row[0] for row in self._run("new_conflicts", ids=ids).fetchall()}
        return [each for each in conflicts if each.id not in known]

    def count_devices(self) -> int:
        return self._run("count_devices").fetchone()[0]

    def least_read_seq(self, seen_since_ms: int) -> int | None:
        return self._run("least_read_seq", since_ms=seen_since_ms).fetchone()[0]

    # --- writing

    def write(
        self,
        head: Head,
        now_ms: int,
        *,
        is_new_seq: bool = False,
        rows: Sequence[Row] = (),
        conflicts: Sequence[Conflict] = (),
        device: Device | None = None,
        fates: Sequence[StoredFate] = (),
    ) -> None:
        """Write all effects of one call, in one round trip."""
        with self._connection.pipeline():
            if rows:
                self._run("writer", writer="engine")
                self._upsert(head.seq, rows)
                # Whoever writes next in this transaction is not the engine.
                self._run("writer", writer="")
            if conflicts:
                self._run("write_conflicts", conflicts=_conflicts_json(head.seq, conflicts))
            if astuple(head) != self._head:
                self._run("write_head", **asdict(head))
            if is_new_seq:
                self._run(
                    "write_transaction",
                    seq=head.seq,
                    fingerprint=head.fingerprint,
                    device=device.id if device else None,
                    at_ms=now_ms,
                    changes=len(rows),
                )
            if device is not None:
                self._run("prune_fates", device=device.id, acknowledged=device.acknowledged)
                if fates:
                    self._write_fates(device, fates, now_ms)
                self._run("write_device", device=_to_json(asdict(device)))

    def _upsert(self, seq: int, rows: Sequence[Row]) -> None:
        by_entity: dict[str, list[dict[str, Any]]] = defaultdict(list)
        all_tables = tables()
        for row in rows:
            by_entity[row.entity].append(_record(all_tables[row.entity], row))
        for entity, records in by_entity.items():
            statement = _table_statement(self._schema, entity, "upsert")
            self._cursor.execute(statement, {"seq": seq, "rows": _to_json(records)})

    def _write_fates(self, device: Device, fates: Sequence[StoredFate], now_ms: int) -> None:
        self._run(
            "write_fates",
            device=device.id,
            at_ms=now_ms,
            fates=_to_json(
                [
                    {
                        "key": key,
                        "number": number,
                        "stamp": stamp,
                        "digest": digest,
                        "result": result,
                    }
                    for key, number, stamp, digest, result, *_ in fates
                ]
            ),
        )
        refusals = [
            {
                "key": each.key,
                "entity": each.entity,
                "row_id": each.row_id or None,
                "field": each.result.field[:NAME_MAX],
                "code": each.result.code,
            }
            for each in fates
            if each.result.fate == "refused"
        ]
        if refusals:
            self._run("write_refusals", device=device.id, at_ms=now_ms, refusals=_to_json(refusals))

    def notify(self, seq: int) -> None:
        """Tell the processes that serve sockets, once the transaction commits."""
        self._run("notify", payload=f"{self._schema} {seq}")

    def forget_stalest_device(self) -> None:
        self._run("forget_stalest_device")

    def forget_device(self, device_id: str) -> bool:
        """Forget a device and the answers that are kept for it; whether there was one."""
        return bool(self._run("forget_device", device=device_id).fetchone()[0])

    def compact(self, before_stamp: str, up_to_seq: int) -> tuple[int, str, int]:
        """Remove old tombstones; returns (how many, their newest stamp, their greatest seq)."""
        count, newest_stamp, newest_seq = 0, "", 0
        self._run("writer", writer="purge")
        for entity in tables():
            statement = _table_statement(self._schema, entity, "compact")
            values = {"before": before_stamp, "up_to_seq": up_to_seq}
            for stamp, seq in self._cursor.execute(statement, values):
                count += 1
                newest_stamp, newest_seq = max(newest_stamp, stamp), max(newest_seq, seq)
        self._run("writer", writer="")
        return count, newest_stamp, newest_seq

    def prune(self, before_ms: int) -> None:
        """Forget transactions, conflicts, fates, refusals and deliveries from before that time."""
        for name in (
            "prune_transactions",
            "prune_conflicts",
            "prune_old_fates",
            "prune_refusals",
            "prune_deliveries",
            "prune_shown",
        ):
            self._run(name, before_ms=before_ms)


class WirePages(PostgresRepository):
    """Reads pages for the wire: the JSON that PostgreSQL made of a row is passed on as it is."""

    def _page_row(self, entity: str, row_id: str, body: str, stamps: str) -> WireRow:
        packed = _decode_stamps(stamps)
        common = packed.pop(EVERY_OTHER_FIELD, None)
        if common is None:  # a bare tombstone
            return row_to_wire(_row(entity, row_id, body, stamps))
        return WireRow(entity, row_id, msgspec.Raw(body), common, packed)  # type: ignore[arg-type]


# --- members and the first row: for provisioning and membership changes ---------------------


def seed(connection: Any, schema: str, owner_id: Any) -> None:
    """Give a new household its head and its owner. Idempotent."""
    cursor = psycopg.Cursor(connection.connection)
    cursor.execute(
        statement(schema, "seed_head"),
        {"epoch": secrets.token_hex(16), "fingerprint": secrets.token_hex(8), "at_ms": _now_ms()},
    )
    cursor.execute(statement(schema, "write_member"), {"user": str(owner_id), "role": "owner"})


def lock_head(connection: Any, schema: str) -> None:
    """Take the lock that every push and every change of the members takes first."""
    psycopg.Cursor(connection.connection).execute(statement(schema, "lock_head"))


def keep_out(connection: Any, schema: str) -> None:
    """Let no write in, and read on, until the transaction ends. The schema may have no head yet."""
    cursor = psycopg.Cursor(connection.connection)
    cursor.execute("SELECT to_regclass(%s)", [f"{schema}.sync_head"])
    if cursor.fetchone() != (None,):
        cursor.execute(statement(schema, "keep_out"))


def set_member(connection: Any, schema: str, user_id: Any, role: str) -> None:
    """Mirror a role, under the head's lock: every push reads it after the lock."""
    cursor = psycopg.Cursor(connection.connection)
    cursor.execute(statement(schema, "lock_head"))
    cursor.execute(statement(schema, "write_member"), {"user": str(user_id), "role": role})


def remove_member(connection: Any, schema: str, user_id: Any) -> None:
    """Take a member out, under the head's lock: no push of theirs commits after this."""
    cursor = psycopg.Cursor(connection.connection)
    cursor.execute(statement(schema, "lock_head"))
    cursor.execute(statement(schema, "remove_member"), {"user": str(user_id)})


def _now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000


# --- composed statements ---------------------------------------------------------------


@lru_cache(maxsize=8192)
def statement(schema: str, name: str, file: str = "household") -> bytes:
    """A statement of `sql/{file}.sql` for one household, as psycopg takes it."""
    return _bytes(statements(file)[name], schema=sql.Identifier(schema))


@lru_cache(maxsize=8192)
def _table_statement(schema: str, entity: str, name: str) -> bytes:
    table = tables()[entity]
    # The id travels as one more column of the upsert.
    columns = {"id": ("id", "uuid"), **table.columns}
    names = [sql.Identifier(column) for column, _ in columns.values()]
    comma = sql.SQL(", ")
    return _bytes(
        statements("table")[name],
        schema=sql.Identifier(schema),
        table=sql.Identifier(table.table),
        body=_body(table),
        columns=comma.join(names),
        fields=comma.join(sql.Identifier("r", field) for field in columns),
        typed_fields=comma.join(
            # The type comes from the model's field, never from outside.
            sql.SQL("{} " + kind).format(sql.Identifier(field))
            for field, (_, kind) in columns.items()
        ),
        assignments=comma.join(sql.SQL("{0} = excluded.{0}").format(name) for name in names[1:]),
    )


@lru_cache(maxsize=2048)
def _page_statement(schema: str) -> bytes:
    arms = []
    for n, entity in enumerate(_arm_names()):
        if entity == CONFLICT.name:
            table, body = "sync_conflict", _CONFLICT_BODY
            stamps = "json_build_object('*', winning_stamp)::text"
        else:
            synced = tables()[entity]
            table, body, stamps = synced.table, _body(synced), "sync_stamps::text"
        arms.append(
            sql.SQL(statements("table")["arm"]).format(
                schema=sql.Identifier(schema),
                table=sql.Identifier(table),
                entity=sql.Literal(entity),
                body=body,
                stamps=sql.SQL(stamps),
                n=sql.SQL(str(n)),
            )
        )
    return _bytes(statements("table")["page"], arms=sql.SQL("\nUNION ALL\n").join(arms))


def forget_statements() -> None:
    """After the registry changed (tests that bring their own table)."""
    _table_statement.cache_clear()
    _page_statement.cache_clear()


def _arm_names() -> list[str]:
    return sorted([*tables(), CONFLICT.name])


def _bytes(text: str, **parts: Any) -> bytes:
    return sql.SQL(text).format(**parts).as_bytes(None)


def _body(table: SyncedTable) -> sql.Composable:
    """A row's values as JSON text, canonical: decimals without trailing zeros, as text."""
    values: dict[str, sql.Composable] = {EXISTS: sql.Identifier("sync_exists")}
    for name, (column, _kind) in table.columns.items():
        value: sql.Composable = sql.Identifier(column)
        if table.entity.fields[name].kind == "decimal":
            value = sql.SQL("trim_scale({})::text").format(value)
        values[name] = value
    return _object(values)


def _object(values: Mapping[str, sql.Composable]) -> sql.Composable:
    """One JSON object as text. json_build_object takes a third longer, and puts blanks in."""
    named = [
        sql.SQL("{} AS {}").format(each, sql.Identifier(name)) for name, each in values.items()
    ]
    return sql.SQL("(SELECT row_to_json(o)::text FROM (SELECT {}) o)").format(
        sql.SQL(", ").join(named)
    )


_CONFLICT_COLUMNS = (
    "row_id", "field", "winning_value", "winning_stamp", "winning_device", "winning_user",
    "losing_value", "losing_stamp", "losing_device", "losing_user", "at_ms",
)  # fmt: skip
_CONFLICT_BODY = _object(
    {EXISTS: sql.SQL("true"), "rowEntity": sql.Identifier("entity")}
    | {wire_name(column): sql.Identifier(column) for column in _CONFLICT_COLUMNS}
)


# --- between records and columns -----------------------------------------------------------


def _row(entity: str, row_id: str, body: str, stamps: str) -> Row:
    fields = _decode_fields(body)
    packed = _decode_stamps(stamps)
    common = packed.get(EVERY_OTHER_FIELD)
    if common is not None:
        if len(packed) == 1:
            return Row(entity, row_id, fields, dict.fromkeys(fields, common))
        return Row(entity, row_id, fields, {name: packed.get(name, common) for name in fields})
    # A bare tombstone: what was never written has neither stamp nor value.
    known = {name: stamp for name, stamp in packed.items() if name in fields}
    return Row(entity, row_id, {name: fields[name] for name in known}, known)


def _record(table: SyncedTable, row: Row) -> dict[str, Any]:
    """A row as the upsert takes it: values by wire name, stamps under "*"."""
    common, exceptions = pack_stamps(row.stamps)
    is_whole = len(row.stamps) == len(table.columns) + 1
    return {
        **(row.fields if is_whole else _unwritten(table.entity) | row.fields),
        "id": row.id,
        EVERY_OTHER_FIELD: {EVERY_OTHER_FIELD: common, **exceptions} if is_whole else row.stamps,
    }


def _unwritten(entity: Entity) -> dict[str, Any]:
    """What the columns hold of which nobody has written any yet."""
    return {EXISTS: False} | {
        each.name: _EMPTY[each.kind] if each.default is None else each.default
        for each in entity.fields.values()
    }


# What a column holds while nobody has written it and it has no default.
_EMPTY: dict[str, Any] = {
    "text": "",
    "bool": False,
    "int": 0,
    "decimal": "0",
    "choice": "",
    "reference": None,
    "iban": "",
    "image": "",
}


def _device(record: Any) -> Device:
    if isinstance(record, str):
        record = msgspec.json.decode(record)
    return Device(**{key: value for key, value in record.items() if key in _device_keys})


def _conflicts_json(seq: int, conflicts: Sequence[Conflict]) -> str:
    return _to_json([{**asdict(each), "sync_seq": seq} for each in conflicts])


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
