"""The simulated server on a real PostgreSQL: the same stories, the real SQL and triggers."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from syncapp import registry
from syncapp.core.cursor import START, Position
from syncapp.core.records import Conflict, Head
from syncapp.repository import PostgresRepository, set_member
from syncapp.tests.household import Household, empty
from tenants.context import in_tenant

from .ground import ServerDied, cells_of, dispute_of
from .oracle import Cells, Dispute, Key

_TABLES = ("sync_head", "sync_transaction", "sync_device", "sync_member", "sync_fate")
_ALL_ROWS = 1_000_000


class PostgresGround:
    """`Ground` on one provisioned household, which it empties first."""

    def __init__(self, household: Household, rng: random.Random, owner: str, now_ms: int) -> None:
        self.household = household
        self.entities = registry.entities()
        self.columns: Mapping[str, Iterable[str]] = {
            name: list(table.columns) for name, table in registry.tables().items()
        }
        empty(household)
        self.set_role(owner, "owner")

    @classmethod
    def of(cls, household: Household) -> Callable[[random.Random, str, int], PostgresGround]:
        """What the simulation calls to get its ground."""
        return lambda rng, owner, now_ms: cls(household, rng, owner, now_ms)

    def call(
        self, function: Callable[..., Any], *args: Any, dies_before_commit: bool = False
    ) -> Any:
        with in_tenant(self.household.id) as inside:
            result = function(self._repository(inside), *args)
            if dies_before_commit:
                raise ServerDied
            return result

    def read(self, function: Callable[..., Any], *args: Any) -> Any:
        with in_tenant(self.household.id, read_only=True) as inside:
            return function(self._repository(inside), *args)

    def _repository(self, inside: Any) -> PostgresRepository:
        repository = PostgresRepository(inside, self.household.schema)
        repository.entities = self.entities
        return repository

    def head(self) -> Head:
        return self.read(lambda repository: repository.read_head())

    def rows(self) -> dict[Key, Cells]:
        return {
            (row.entity, row.id): cells_of(row)
            for row in self.read(_all_rows)
            if row.entity != registry.CONFLICT.name
        }

    def conflicts(self) -> dict[Dispute, tuple[Any, Any, int]]:
        return dict(
            dispute_of(_conflict(row.id, row.fields))
            for row in self.read(_all_rows)
            if row.entity == registry.CONFLICT.name
        )

    # --- what befalls a household

    def dump(self) -> object:
        with in_tenant(self.household.id) as inside:
            cursor = psycopg.Cursor(inside.connection)
            return {
                table: cursor.execute(
                    self._sql("SELECT to_json(t)::text FROM {} t", table)
                ).fetchall()
                for table in self._tables()
            }

    def restore(self, backup: object) -> None:
        with in_tenant(self.household.id) as inside:
            cursor = psycopg.Cursor(inside.connection)
            cursor.execute("SELECT set_config('finwise.writer', 'purge', true)")
            for table, rows in dict(backup).items():  # type: ignore[call-overload]
                cursor.execute(self._sql("TRUNCATE {}", table))
                insert = "INSERT INTO {0} SELECT r.* FROM json_populate_record(NULL::{0}, %s) r"
                for (row,) in rows:
                    cursor.execute(self._sql(insert, table), [row])

    def new_epoch(self) -> None:
        with in_tenant(self.household.id) as inside:
            cursor = psycopg.Cursor(inside.connection)
            cursor.execute(
                self._sql("UPDATE {} SET epoch = %s", "sync_head"), [secrets.token_hex(16)]
            )

    def set_role(self, user_id: str, role: str) -> None:
        with in_tenant(self.household.id) as inside:
            set_member(inside, self.household.schema, user_id, role)

    # --- writes by hand, as psql has them

    def insert(self, key: Key, fields: Mapping[str, Any], now_ms: int) -> None:
        self._by_hand(
            "INSERT INTO {table} (id, {columns}) SELECT r.id, {values} FROM {record}", key, fields
        )

    def update(self, key: Key, fields: Mapping[str, Any], now_ms: int) -> None:
        self._by_hand(
            "UPDATE {table} t SET ({columns}) = ROW({values}) FROM {record} WHERE t.id = r.id",
            key,
            fields,
        )

    def delete(self, key: Key, now_ms: int) -> None:
        self._by_hand("DELETE FROM {table} t USING {record} WHERE t.id = r.id", key, {})

    def _by_hand(self, statement: str, key: Key, fields: Mapping[str, Any]) -> None:
        table = registry.tables()[key[0]]
        columns = {table.columns[name][0]: value for name, value in fields.items()}
        names = [sql.Identifier(each) for each in columns]
        comma = sql.SQL(", ")
        named = sql.Identifier(self.household.schema, table.table)
        composed = sql.SQL(statement).format(
            table=named,
            columns=comma.join(names),
            values=comma.join(sql.SQL("r.{}").format(each) for each in names),
            record=sql.SQL("json_populate_record(NULL::{}, %s) r").format(named),
        )
        with in_tenant(self.household.id) as inside:
            record = json.dumps({"id": key[1], **columns})
            psycopg.Cursor(inside.connection).execute(composed, [record])

    def _tables(self) -> list[str]:
        synced = [table.table for table in registry.tables().values()]
        return [*_TABLES, "sync_conflict", *synced]

    def _sql(self, statement: str, table: str) -> sql.Composed:
        return sql.SQL(statement).format(sql.Identifier(self.household.schema, table))


def _all_rows(repository: PostgresRepository) -> list[Any]:
    found: list[Any] = []
    after, more = START, True
    while more:
        located, more = repository.page(after, _ALL_ROWS)
        found.extend(each.row for each in located)
        if located:
            after = Position(located[-1].seq, located[-1].row.entity, located[-1].row.id)
    return found


def _conflict(conflict_id: str, fields: Mapping[str, Any]) -> Conflict:
    return Conflict(
        conflict_id,
        fields["rowEntity"],
        fields["rowId"],
        fields["field"],
        fields["winningValue"],
        fields["winningStamp"],
        fields["winningDevice"],
        fields["winningUser"],
        fields["losingValue"],
        fields["losingStamp"],
        fields["losingDevice"],
        fields["losingUser"],
        fields["atMs"],
    )
