"""The limit: the same rows in the same table, written by psycopg and nothing else.

Batches of 500, each a committed transaction, out of the values that a program holds: text,
numbers, booleans, amounts as text. Making the parameters of them is part of the time, as are
all indexes, constraints and triggers of the table. In three ways:

    upsert      one `INSERT … ON CONFLICT` with one jsonb parameter: the fastest that we know
    noted       the same, with what a push cannot do without in the database: the household's
                lock, a number, and a fate for each change
    row_by_row  `executemany`, as psycopg is mostly written; it sends the rows in a pipeline

No decisions, no answers: what the engine does on top is what it costs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from syncapp.core.messages import BATCH_MAX_ROWS
from syncapp.registry import tables

from .households import Household

Record = dict[str, Any]
Write = Callable[[psycopg.Connection, list[Record]], object]

_SYNC_COLUMNS = {"sync_exists": "boolean", "sync_stamps": "jsonb", "sync_seq": "bigint"}

_UPSERT = """
INSERT INTO {table} ({columns})
SELECT {columns} FROM jsonb_to_recordset(%(rows)s::jsonb) AS r ({typed_columns})
ON CONFLICT (id) DO UPDATE SET {assignments}
"""
_ROW = """
INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT (id) DO UPDATE SET {assignments}
"""
_LOCK = "SELECT seq FROM {schema}.sync_head FOR UPDATE"
_NOTE = """
WITH head AS (UPDATE {schema}.sync_head SET seq = seq + 1 RETURNING seq, fingerprint),
numbered AS (
    INSERT INTO {schema}.sync_transaction SELECT seq, fingerprint, NULL, 0 FROM head
)
INSERT INTO {schema}.sync_fate (device_id, key, number, stamp, digest, result, at_ms)
SELECT '00000000-0000-4000-8000-000000000000', id, 0, '', '', '{{"fate":"applied"}}', 0
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (id text)
"""


def records_of(household: Household) -> list[Record]:
    """A household's accounts with all their columns, as JSON can hold them.

    Amounts are text, as everywhere outside the database: a float would not be the same row.
    """
    account = tables()["account"]
    amounts = [
        sql.SQL("{}, {}::text").format(sql.Literal(column), sql.Identifier(column))
        for name, (column, _) in account.columns.items()
        if account.entity.fields[name].kind == "decimal"
    ]
    query = sql.SQL(
        "SELECT to_jsonb(a) || jsonb_build_object({}) FROM {} a ORDER BY sync_seq, id"
    ).format(sql.SQL(", ").join(amounts), sql.Identifier(household.schema, account.table))
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return [row[0] for row in connection.execute(query)]


def upsert(household: Household, records: list[Record]) -> float:
    """Write the records into the household's accounts; returns rows a second."""
    statement = _statement(_UPSERT, household)
    return _timed(records, lambda connection, batch: connection.execute(statement, _json(batch)))


def noted(household: Household, records: list[Record]) -> float:
    """`upsert` with lock, number and fates; the rows must be new to the household."""
    lock, note, statement = (_statement(each, household) for each in (_LOCK, _NOTE, _UPSERT))

    def write(connection: psycopg.Connection, batch: list[Record]) -> None:
        connection.execute(lock)
        rows = _json(batch)
        connection.execute(statement, rows)
        connection.execute(note, rows)

    return _timed(records, write)


def row_by_row(household: Household, records: list[Record]) -> float:
    """The same with `executemany`; returns rows a second."""
    statement = _statement(_ROW, household)

    def write(connection: psycopg.Connection, batch: list[Record]) -> None:
        rows = [{**each, "sync_stamps": Jsonb(each["sync_stamps"])} for each in batch]
        connection.cursor().executemany(statement, rows)

    return _timed(records, write)


def _timed(records: list[Record], write: Write) -> float:
    with _connection() as connection:
        began_s = time.perf_counter()
        for start in range(0, len(records), BATCH_MAX_ROWS):
            with connection.transaction():
                write(connection, records[start : start + BATCH_MAX_ROWS])
        return len(records) / (time.perf_counter() - began_s)


@contextmanager
def _connection() -> Iterator[psycopg.Connection]:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        # The triggers let it pass, as they do for the engine; set once for the session.
        connection.execute("SELECT set_config('finwise.writer', 'engine', false)")
        yield connection


def _json(batch: list[Record]) -> dict[str, str]:
    return {"rows": msgspec.json.encode(batch).decode()}


def _statement(text: str, household: Household) -> sql.Composed:
    # The types come from the model's fields, as in the engine's own statement.
    types = {"id": "uuid", **dict(tables()["account"].columns.values()), **_SYNC_COLUMNS}
    columns = {name: sql.Identifier(name) for name in types}
    comma, schema = sql.SQL(", "), sql.Identifier(household.schema)
    return sql.SQL(text).format(
        schema=schema,
        table=sql.SQL("{}.account").format(schema),
        columns=comma.join(columns.values()),
        typed_columns=comma.join(
            sql.SQL("{} " + types[name]).format(column) for name, column in columns.items()
        ),
        values=comma.join(
            sql.SQL("{}::" + kind).format(sql.Placeholder(name)) for name, kind in types.items()
        ),
        assignments=comma.join(
            sql.SQL("{0} = excluded.{0}").format(column)
            for name, column in columns.items()
            if name != "id"
        ),
    )
