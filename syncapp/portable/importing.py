"""Into the database, in one transaction, as a new epoch."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from syncapp.core.clock import newest
from syncapp.core.messages import BATCH_MAX_ROWS
from syncapp.core.records import Conflict
from syncapp.registry import tables
from syncapp.repository import PostgresRepository
from syncapp.sql import statements
from tenants.context import call_in_tenant
from tenants.names import schema_name
from tenants.roster import people_of

from .format import ConflictLine, Portable


@dataclass(frozen=True)
class Imported:
    """What is in the household now. replaced: it was not empty before."""

    rows: int
    tombstones: int
    conflicts: int
    seq: int
    replaced: bool


class NotEmpty(Exception):
    """The household holds rows already; nothing was changed."""


def import_household(tenant_id: UUID, portable: Portable, *, replace: bool = False) -> Imported:
    """Put a household's rows, stamps, tombstones and open conflicts in the place of what is there.

    The household must exist; who belongs to it, and which devices it knows, stays. Its epoch
    is new: each device takes a snapshot (`operator`) and then sends its outbox, of which
    nothing is lost.

    Raises NotEmpty unless it is empty or `replace` is said; NotYours, Busy, DatabaseAway.
    """
    people = people_of(_people_in(portable))
    return call_in_tenant(tenant_id, _write, tenant_id, portable, people, replace)


def _write(
    connection: Any, tenant_id: UUID, portable: Portable, people: dict[str, UUID], replace: bool
) -> Imported:
    schema = schema_name(tenant_id)
    repository = PostgresRepository(connection, schema)
    # Before anything else: whoever writes at this moment commits before, or sees the new epoch.
    head = repository.lock_head()
    cursor = psycopg.Cursor(connection.connection)
    was_empty = all(_run(cursor, schema, "is_empty", each) for each in _tables())
    if not (was_empty or replace):
        raise NotEmpty
    _clear(cursor, schema)
    now_ms = time.time_ns() // 1_000_000
    head.epoch = secrets.token_hex(16)
    # Never back to a seq that was: whoever is connected hears of this one by news.
    head.seq += 1
    head.fingerprint = secrets.token_hex(8)
    head.horizon = max(head.horizon, portable.head.horizon)
    head.stamp = max(head.stamp, head.horizon, newest(each.newest_stamp for each in portable.rows))
    for start in range(0, len(portable.rows), BATCH_MAX_ROWS):
        repository.write(head, now_ms, rows=portable.rows[start : start + BATCH_MAX_ROWS])
    conflicts = [_conflict(each, people) for each in portable.conflicts]
    repository.write(head, now_ms, is_new_seq=True, conflicts=conflicts)
    repository.notify(head.seq)
    here = sum(each.is_here for each in portable.rows)
    return Imported(
        here, len(portable.rows) - here, len(conflicts), head.seq, replaced=not was_empty
    )


def _clear(cursor: psycopg.Cursor, schema: str) -> None:
    cursor.execute(statements("household")["writer"], {"writer": "purge"})
    for table in _tables():
        _run(cursor, schema, "clear", table)
    cursor.execute(statements("household")["writer"], {"writer": ""})
    for name in ("forget_conflicts", "forget_answers", "forget_past", "start_devices_over"):
        _run(cursor, schema, name)


def _tables() -> list[str]:
    return [each.table for each in tables().values()]


def _run(cursor: psycopg.Cursor, schema: str, name: str, table: str = "") -> Any:
    statement = sql.SQL(statements("portable")[name]).format(
        schema=sql.Identifier(schema), table=sql.Identifier(table or "-")
    )
    cursor.execute(statement)
    found = cursor.fetchone() if cursor.description else None
    return found[0] if found else None


def _people_in(portable: Portable) -> set[str]:
    named = (
        email for each in portable.conflicts for email in (each.winning_person, each.losing_person)
    )
    return {email for email in named if email}


def _conflict(line: ConflictLine, people: dict[str, UUID]) -> Conflict:
    def user(email: str | None) -> str | None:
        found = people.get((email or "").strip().lower())
        return str(found) if found else None

    return Conflict(
        id=line.id,
        entity=line.entity,
        row_id=line.row_id,
        field=line.field,
        winning_value=line.winning_value,
        winning_stamp=line.winning_stamp,
        winning_device=line.winning_device,
        winning_user=user(line.winning_person),
        losing_value=line.losing_value,
        losing_stamp=line.losing_stamp,
        losing_device=line.losing_device,
        losing_user=user(line.losing_person),
        at_ms=line.at_ms,
    )
