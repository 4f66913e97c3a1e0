"""A household under test, and devices that speak to its engine without a socket."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from syncapp import engine, greetings
from syncapp.core.change import Row
from syncapp.core.clock import Clock
from syncapp.core.messages import Change, Hello, Push, Result
from syncapp.core.messages import Rows as RowsMessage
from syncapp.repository import PostgresRepository
from tenants.context import in_tenant
from tenants.models import Membership, User
from tenants.names import schema_name
from tenants.provisioning import provision

TABLES = ("account", "account_group")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Household:
    """One provisioned household and its owner."""

    id: uuid.UUID
    owner: uuid.UUID

    @classmethod
    def provision(cls, name: str) -> Household:
        owner = User.objects.create_user(email=f"{secrets.token_hex(6)}@example.org")
        tenant_id = uuid.uuid4()
        provision(tenant_id, name, owner.id, by_operator=True)
        return cls(tenant_id, owner.id)

    @property
    def schema(self) -> str:
        return schema_name(self.id)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run an engine function in one transaction of this household."""
        with in_tenant(self.id) as inside:
            return function(PostgresRepository(inside, self.schema), *args, **kwargs)

    def rows(self) -> dict[tuple[str, str], Row]:
        """All rows as a fresh device would read them, page by page, conflicts included."""
        found: dict[tuple[str, str], Row] = {}
        cursor, more = None, True
        while more:
            page = self.call(engine.changes_since, cursor, str(self.owner))
            found.update({(row.entity, row.id): row for row in page.rows})
            cursor, more = page.cursor, page.more
        return found

    def head(self) -> Any:
        return self.call(lambda repository: repository.read_head())

    def device(self, name: str = "phone", user: uuid.UUID | None = None) -> Speaker:
        speaker = Speaker(self, name, str(user or self.owner))
        speaker.hello()
        return speaker


@dataclass
class Speaker:
    """Just enough of a device to push: numbers, a clock, a cursor."""

    household: Household
    name: str
    user: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    node: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0
    acknowledged: int = 0
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.clock = Clock(self.node)

    def hello(self, **changes: Any) -> greetings.Greeting:
        values: dict[str, Any] = {
            "device": self.id,
            "node": self.node,
            "name": self.name,
            "acknowledged": self.acknowledged,
            "cursor": self.cursor,
        }
        hello = Hello(**{**values, **changes})
        return self.household.call(greetings.greet, hello, self.user, now_ms())

    def change(
        self,
        kind: str,
        entity: str,
        row_id: str,
        fields: dict[str, Any] | None = None,
        seen: dict[str, str] | None = None,
        stamp: str | None = None,
    ) -> Change:
        self.number += 1
        stamp = stamp or self.clock.tick(now_ms())
        return Change(self.number, entity, row_id, kind, stamp, fields or {}, seen or {})

    def push(self, *changes: Change, at_ms: int | None = None) -> list[Result]:
        return self.outcome(*changes, at_ms=at_ms).ack.results

    def outcome(self, *changes: Change, at_ms: int | None = None) -> engine.Outcome:
        push = Push(changes=list(changes), acknowledged=self.acknowledged)
        return self.household.call(engine.apply_push, self.id, self.user, push, at_ms or now_ms())

    def settle(self) -> None:
        self.acknowledged = self.number

    def send_rows(self, *rows: Any, last: bool = True) -> engine.Outcome:
        message = RowsMessage(rows=list(rows), last=last)
        return self.household.call(engine.apply_rows, self.id, self.user, message, now_ms())

    def pull(self) -> list[Row]:
        """All rows behind the cursor; the cursor moves on."""
        from syncapp.core.cursor import text_to_cursor

        found: list[Row] = []
        more = True
        while more:
            cursor = text_to_cursor(self.cursor) if self.cursor else None
            page = self.household.call(engine.changes_since, cursor, self.user)
            found.extend(page.rows)
            self.cursor, more = page.cursor.to_text(), page.more
        return found


def empty(household: Household) -> None:
    """Back to the state after provisioning, with a new epoch."""
    with in_tenant(household.id) as inside, inside.cursor() as cursor:
        cursor.execute("SELECT set_config('finwise.writer', 'purge', true)")
        tables = [*TABLES, "sync_head", "sync_transaction", "sync_device", "sync_member"]
        tables += [
            "sync_fate",
            "sync_conflict",
            "sync_shown",
            "sync_refusal",
            "sync_request",
            "sync_report",
        ]
        tables.append("sync_delivery")
        names = ", ".join(f'"{household.schema}".{table}' for table in tables)
        cursor.execute(f"TRUNCATE {names}")
        from syncapp.repository import seed

        seed(inside, household.schema, household.owner)
    members = Membership.objects.filter(tenant=household.id)
    members.exclude(user=household.owner).delete()
    members.update(turned_away_at=None)


__all__ = ["Household", "Speaker", "connection", "empty", "now_ms"]
