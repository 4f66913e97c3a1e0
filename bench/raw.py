"""The limit: the same rows in the same table, written by psycopg and nothing else.

Batches of 500, each a committed transaction of one statement, which is the fastest way we
know (one jsonb parameter, `INSERT … ON CONFLICT`). No decisions, no answers: what the
engine does on top of this is what it costs. `is_noted` adds what a push cannot do without
in the database: the household's lock, a number, and a fate for each change.
"""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from syncapp.core.messages import BATCH_MAX_ROWS
from syncapp.registry import tables

from .households import Household

Record = dict[str, Any]

_SYNC_COLUMNS = {"sync_exists": "boolean", "sync_stamps": "jsonb", "sync_seq": "bigint"}

_UPSERT = """
INSERT INTO {table} ({columns})
SELECT {columns} FROM jsonb_to_recordset(%(rows)s::jsonb) AS r ({typed_columns})
ON CONFLICT (id) DO UPDATE SET {assignments}
"""

_LOCK = "SELECT seq FROM {schema}.sync_head FOR UPDATE"
_NOTE = """
WITH head AS (UPDATE {schema}.sync_head SET seq = seq + 1 RETURNING seq, fingerprint),
numbered AS (
    INSERT INTO {schema}.sync_transaction SELECT seq, fingerprint, NULL, 0 FROM head
)
INSERT INTO {schema}.sync_fate (device_id, key, number, stamp, result, at_ms)
SELECT '00000000-0000-4000-8000-000000000000', id, 0, '', '{{"fate":"applied"}}', 0
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (id text)
"""


def records_of(household: Household) -> list[Record]:
    """A household's accounts with all their columns, as JSON can hold them."""
    query = sql.SQL("SELECT to_jsonb(a) FROM {} a ORDER BY sync_seq, id").format(
        sql.Identifier(household.schema, "account")
    )
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return [row[0] for row in connection.execute(query)]


def upsert(household: Household, records: list[Record], *, is_noted: bool = False) -> float:
    """Write the records into the household's accounts; returns seconds."""
    batches = [
        records[start : start + BATCH_MAX_ROWS] for start in range(0, len(records), BATCH_MAX_ROWS)
    ]
    schema = sql.Identifier(household.schema)
    lock = sql.SQL(_LOCK).format(schema=schema)
    statements = [_upsert_statement(schema)]
    if is_noted:
        statements.append(sql.SQL(_NOTE).format(schema=schema))
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        # The triggers let it pass, as they do for the engine; set once for the session.
        connection.execute("SELECT set_config('finwise.writer', 'engine', false)")
        began_s = time.perf_counter()
        for batch in batches:
            with connection.transaction():
                if is_noted:
                    connection.execute(lock)
                values = {"rows": msgspec.json.encode(batch).decode()}
                for statement in statements:
                    connection.execute(statement, values)
        return time.perf_counter() - began_s


def _upsert_statement(schema: sql.Identifier) -> sql.Composed:
    types = {"id": "uuid", **dict(tables()["account"].columns.values()), **_SYNC_COLUMNS}
    columns = {name: sql.Identifier(name) for name in types}
    comma = sql.SQL(", ")
    return sql.SQL(_UPSERT).format(
        table=sql.SQL("{}.account").format(schema),
        columns=comma.join(columns.values()),
        # The types come from the model's fields, as in the engine's own statement.
        typed_columns=comma.join(
            sql.SQL("{} " + types[name]).format(column) for name, column in columns.items()
        ),
        assignments=comma.join(
            sql.SQL("{0} = excluded.{0}").format(column)
            for name, column in columns.items()
            if name != "id"
        ),
    )
